"""What equality.py asks both sides, in order: every call that the product makes, and what services refuse.

A probe is name, actor, service, method, path, expected status, body. `{words}` in paths and bodies are what was made
before on that side. Keys under `reads` are those that the product can't do without.
"""
import base64
import datetime
import struct
import time

UNKNOWN = '00000000-0000-4000-8000-000000000000'
PAGE = {'limit': '1000'}


def password(user, secret, **scope):
    return {'identity': {'methods': ['password'], 'password': {'user': {
        'name': user, 'domain': {'name': 'Default'}, 'password': secret}}}, 'scope': scope}


def project(name):
    return {'name': name, 'domain': {'name': 'Default'}}


def public_key(byte):
    part = lambda data: struct.pack('>I', len(data)) + data
    return 'ssh-ed25519 %s equality' % base64.b64encode(part(b'ssh-ed25519') + part(bytes([byte]) * 32)).decode()


def probe(site):
    site.ids.update(run=site.run, unknown=UNKNOWN, region=site.region, unknown_hex=UNKNOWN.replace('-', ''))
    identity(site)
    key_manager(site)
    types(site)
    networks(site)
    volumes(site)
    transfers(site)
    compute(site)
    groups(site)
    limits(site)
    trust_end(site)


def identity(s):
    s.probe('keystone_version', None, 'identity', 'GET', '', 200, reads=['version/id'], what='show version')
    for user in ('admin', 'protector'):
        secret, home = s.accounts[user]
        s.sign_in('sign_in_as_' + user, user, password(user, secret, project=project(home)),
                  reads=['token/user/id', 'token/project/id', 'token/roles/[]/name', 'token/expires_at', 'token/issued_at',
                         'token/catalog/[]/type', 'token/catalog/[]/endpoints/[]/interface', 'token/catalog/[]/endpoints/[]/region',
                         'token/catalog/[]/endpoints/[]/region_id', 'token/catalog/[]/endpoints/[]/url'],
                  keep={user: 'token.user.id', user + '_project': 'token.project.id'})
    secret, home = s.accounts['protector']
    s.sign_in('sign_in_with_a_wrong_password', 'x', password('protector', 'wrong', project=project(home)), 401, 'requires authentication')
    s.sign_in('sign_in_as_an_unknown_user', 'x', password('nobody-{run}', 'x', project=project(home)), 401, 'requires authentication')
    s.sign_in('sign_in_to_an_unknown_project', 'x', password('protector', secret, project=project('none-{run}')), 401)
    s.probe('create_project', 'admin', 'identity', 'POST', '/projects', 201, {'project': {'name': 'eq-{run}', 'domain_id': 'default'}}, keep={'project': 'project.id'})
    s.probe('create_other_project', 'admin', 'identity', 'POST', '/projects', 201, {'project': {'name': 'eq-other-{run}', 'domain_id': 'default'}}, keep={'other_project': 'project.id'})
    s.probe('create_project_twice', 'admin', 'identity', 'POST', '/projects', 409, {'project': {'name': 'eq-{run}', 'domain_id': 'default'}})
    s.probe('create_user', 'admin', 'identity', 'POST', '/users', 201, {'user': {'name': 'eq-{run}', 'password': 'lab', 'domain_id': 'default'}}, keep={'user': 'user.id'})
    s.probe('list_roles', 'protector', 'identity', 'GET', '/roles', 200, query={'name': 'member'}, reads=['roles/[]/name'], what='list roles')
    s.ids['member'] = s.call('admin', 'identity', 'GET', '/roles', query={'name': 'member'}).json()['roles'][0]['id']
    s.probe('list_roles_of_an_unknown_name', 'protector', 'identity', 'GET', '/roles', 200, query={'name': 'none-{run}'}, reads=['roles'])
    for which in ('project', 'other_project'):
        s.probe('assign_a_role_in_' + which, 'admin', 'identity', 'PUT', '/projects/{%s}/users/{user}/roles/{member}' % which, 204)
    s.sign_in('sign_in_as_tenant', 'tenant', password('eq-{run}', 'lab', project=project('eq-{run}')))
    s.sign_in('sign_in_to_other_project', 'other', password('eq-{run}', 'lab', project=project('eq-other-{run}')))
    s.ids['role'] = s.call('admin', 'identity', 'GET', '/roles', query={'name': 'admin'}).json()['roles'][0]['id']
    s.probe('make_the_administrator_one_of_other_project', 'admin', 'identity', 'PUT', '/projects/{other_project}/users/{admin}/roles/{role}', 204)
    s.sign_in('sign_in_as_administrator_of_other_project', 'keeper', password('admin', s.accounts['admin'][0], project=project('eq-other-{run}')))
    mine = {'X-Subject-Token': s.token('tenant').value}
    s.probe('look_at_own_token', 'tenant', 'identity', 'GET', '/auth/tokens', 200, headers=mine, reads=['token/user/id', 'token/project/id', 'token/catalog/[]/endpoints/[]/url'], what='look at the caller\'s token')
    s.probe('service_looks_at_a_token', 'protector', 'identity', 'GET', '/auth/tokens', 200, headers=mine, reads=['token/user/name', 'token/user/domain/id'])
    s.probe('look_at_a_bad_token', 'protector', 'identity', 'GET', '/auth/tokens', 404, headers={'X-Subject-Token': 'gAAAAABnope'})
    s.probe('look_with_a_bad_token', 'nobody', 'identity', 'GET', '/auth/tokens', 401, headers=mine)
    s.probe('list_roles_as_tenant', 'tenant', 'identity', 'GET', '/roles', 403, query={'name': 'member'}, text='identity:list_roles')
    s.probe('show_project', 'protector', 'identity', 'GET', '/projects/{project}', 200, reads=['project/id', 'project/name'], what='show project')
    s.probe('show_own_project', 'tenant', 'identity', 'GET', '/projects/{project}', 200)
    s.probe('show_unknown_project', 'protector', 'identity', 'GET', '/projects/{unknown_hex}', 404, text='Could not find project')
    s.probe('own_projects', 'tenant', 'identity', 'GET', '/auth/projects', 200)
    trusts(s)
    s.probe('create_service', 'admin', 'identity', 'POST', '/services', 201, {'service': {'type': 'eq-{run}', 'name': 'eq-{run}'}}, keep={'service': 'service.id'})
    s.probe('create_endpoint_by_region', 'admin', 'identity', 'POST', '/endpoints', 201, {'endpoint': {
        'service_id': '{service}', 'interface': 'public', 'url': 'http://127.0.0.1:1/v1', 'region': '{region}'}},
        reads=['endpoint/region', 'endpoint/region_id'], keep={'endpoint': 'endpoint.id'})
    s.probe('list_endpoints', 'admin', 'identity', 'GET', '/endpoints', 200, query={'service_id': '{service}'}, reads=['endpoints/[]/region', 'endpoints/[]/region_id'])
    s.probe('list_endpoints_of_a_region', 'admin', 'identity', 'GET', '/endpoints', 200, query={'service_id': '{service}', 'region_id': '{region}'}, reads=['endpoints/[]/url'])
    s.probe('delete_endpoint', 'admin', 'identity', 'DELETE', '/endpoints/{endpoint}', 204)
    s.probe('delete_service', 'admin', 'identity', 'DELETE', '/services/{service}', 204)
    s.probe('delete_unknown_service', 'admin', 'identity', 'DELETE', '/services/{unknown_hex}', 404, text='Could not find service')


def trust(**changes):
    wanted = {'trustor_user_id': '{user}', 'trustee_user_id': '{protector}', 'project_id': '{project}', 'impersonation': True,
              'roles': [{'name': 'member'}], 'expires_at': None, 'remaining_uses': None, 'allow_redelegation': False}
    wanted.update(changes)
    return {'trust': wanted}


def trusts(s):
    create = ('identity', 'POST', '/OS-TRUST/trusts')
    s.probe('create_trust', 'tenant', *create, 201, trust(), keep={'trust': 'trust.id'}, reads=['trust/id'], what='create trust')
    s.probe('create_doomed_trust', 'tenant', *create, 201, trust(expires_at='2037-01-01T00:00:00.000000Z'), keep={'doomed': 'trust.id'})
    s.probe('create_trust_for_someone_else', 'admin', *create, 403, trust())
    s.probe('create_trust_without_roles', 'tenant', *create, 403, trust(roles=[]), text='At least one role')
    s.probe('create_trust_with_a_role_not_held', 'tenant', *create, 404, trust(roles=[{'name': 'admin'}]))
    s.probe('create_trust_with_an_unknown_role', 'tenant', *create, 404, trust(roles=[{'name': 'none-{run}'}]))
    s.probe('create_trust_to_an_unknown_user', 'tenant', *create, 404, trust(trustee_user_id='{unknown_hex}'), text='Could not find user')
    s.probe('create_trust_that_is_over', 'tenant', *create, 400, trust(expires_at='2020-01-01T00:00:00.000000Z'))
    s.probe('show_trust', 'tenant', 'identity', 'GET', '/OS-TRUST/trusts/{trust}', 200, reads=['trust/roles/[]/name', 'trust/expires_at'])
    s.probe('show_trust_as_trustee', 'protector', 'identity', 'GET', '/OS-TRUST/trusts/{trust}', 200)
    s.probe('list_own_trusts', 'tenant', 'identity', 'GET', '/OS-TRUST/trusts', 200, query={'trustor_user_id': '{user}'})
    s.probe('show_unknown_trust', 'tenant', 'identity', 'GET', '/OS-TRUST/trusts/{unknown_hex}', 404, text='Could not find trust')
    secret, home = s.accounts['protector']
    lent = lambda name: {'OS-TRUST:trust': {'id': '{%s}' % name}}
    s.sign_in('sign_in_by_trust', 'trust', password('protector', secret, **lent('trust')), reads=['token/user/id', 'token/project/id', 'token/roles/[]/name', 'token/OS-TRUST:trust/id'])
    s.sign_in('sign_in_by_doomed_trust', 'doomed', password('protector', secret, **lent('doomed')))
    s.sign_in('sign_in_by_someone_elses_trust', 'x', password('admin', s.accounts['admin'][0], **lent('trust')), 403)
    s.sign_in('sign_in_by_an_unknown_trust', 'x', password('protector', secret, **lent('unknown_hex')), 401)
    s.probe('create_trust_by_trust', 'trust', *create, 403, trust())
    for name, free in (('restricted', False), ('unrestricted', True)):
        s.probe('create_%s_application_credential' % name, 'tenant', 'identity', 'POST', '/users/{user}/application_credentials', 201,
                {'application_credential': {'name': name, 'unrestricted': free}}, keep={name: 'application_credential.id', name + '_secret': 'application_credential.secret'})
        s.sign_in('sign_in_by_%s_application_credential' % name, name, {'identity': {'methods': ['application_credential'],
                  'application_credential': {'id': '{%s}' % name, 'secret': '{%s_secret}' % name}}})
        s.probe('create_trust_by_%s_application_credential' % name, name, *create, 403, trust())
    s.probe('delete_trust', 'tenant', 'identity', 'DELETE', '/OS-TRUST/trusts/{doomed}', 204, what='delete trust')
    s.probe('delete_trust_twice', 'tenant', 'identity', 'DELETE', '/OS-TRUST/trusts/{doomed}', 404, text='Could not find trust')
    s.sign_in('sign_in_by_a_deleted_trust', 'x', password('protector', secret, **lent('doomed')), 401)
    s.probe('volumes_with_a_deleted_trusts_token', 'doomed', 'volume', 'GET', '/volumes/detail', 401)


def key_manager(s):
    """By the policy that Barbican comes with, its old one: role creator, not member."""
    s.ids['creator'] = s.call('admin', 'identity', 'GET', '/roles', query={'name': 'creator'}).json()['roles'][0]['id']
    held = lambda **changes: {'name': 'fa-{run}', 'payload': 'a-token', 'payload_content_type': 'text/plain', 'secret_type': 'opaque', **changes}
    text = {'Accept': 'text/plain'}
    on = lambda name, actor, method, path, want, body=None, **options: s.probe(name, actor, 'key-manager', method, path, want, body, **options)
    on('create_secret_as_a_member', 'tenant', 'POST', '/secrets', 403, held(), text='Secret creation attempt not allowed')
    for which in ('project', 'other_project'):
        s.probe('assign_creator_in_' + which, 'admin', 'identity', 'PUT', '/projects/{%s}/users/{user}/roles/{creator}' % which, 204)
    s.sign_in('sign_in_as_creator', 'creator', password('eq-{run}', 'lab', project=project('eq-{run}')))
    s.sign_in('sign_in_as_creator_of_other_project', 'creator2', password('eq-{run}', 'lab', project=project('eq-other-{run}')))
    s.probe('create_trust_with_creator', 'creator', 'identity', 'POST', '/OS-TRUST/trusts', 201, trust(roles=[{'name': 'member'}, {'name': 'creator'}]), keep={'reading': 'trust.id'})
    s.sign_in('sign_in_by_trust_with_creator', 'reading', password('protector', s.accounts['protector'][0], **{'OS-TRUST:trust': {'id': '{reading}'}}))
    on('create_secret', 'creator', 'POST', '/secrets', 201, held(), reads=['secret_ref'], keep={'secret_ref': 'secret_ref'})
    s.ids['secret'] = s.ids.get('secret_ref', '').rsplit('/', 1)[-1]
    on('create_secret_without_a_payload', 'creator', 'POST', '/secrets', 201, {'name': 'empty-{run}'}, keep={'empty_ref': 'secret_ref'})
    s.ids['empty'] = s.ids.get('empty_ref', '').rsplit('/', 1)[-1]
    on('create_secret_with_an_empty_payload', 'creator', 'POST', '/secrets', 400, held(payload=''), text='must be non empty')
    on('create_secret_of_no_kind', 'creator', 'POST', '/secrets', 400, {'name': 'x', 'payload': 'x'}, text='payload_content_type')
    on('create_secret_of_an_unknown_kind', 'creator', 'POST', '/secrets', 400, held(payload_content_type='foo/bar'), text='is not one of')
    on('show_secret', 'creator', 'GET', '/secrets/{secret}', 200, reads=['secret_ref', 'name', 'content_types/default', 'status'])
    on('list_secrets', 'creator', 'GET', '/secrets', 200, query={'name': 'fa-{run}'}, reads=['secrets/[]/secret_ref', 'total'])
    on('list_secrets_of_other_project', 'creator2', 'GET', '/secrets', 200, text='"total": 0')
    on('list_secrets_as_a_member', 'trust', 'GET', '/secrets', 403)
    read = lambda name, actor, want, words=None, secret='{secret}', **options: on(name, actor, 'GET', '/secrets/%s/payload' % secret, want, text=words, headers=options.pop('headers', text), **options)
    read('read_secret', 'creator', 200, 'a-token')
    read('read_secret_by_trust', 'reading', 200, 'a-token', what='read secret')
    read('read_secret_by_trust_without_the_role', 'trust', 403, 'Secret payload retrieval attempt not allowed')
    read('read_secret_as_the_service', 'protector', 403, 'not allowed')
    read('read_secret_of_another_project', 'creator2', 403, 'not allowed')
    read('read_secret_as_json', 'creator', 406, 'Wrong payload content-type', headers={'Accept': 'application/json'})
    read('read_secret_as_bytes', 'creator', 200, 'a-token', headers={'Accept': 'application/octet-stream'})
    read('read_unknown_secret', 'reading', 404, 'Secret not found.', '{unknown}')
    read('read_secret_of_a_bad_id', 'reading', 404, 'Provided secret id is invalid', 'nonsense')
    read('read_secret_without_a_payload', 'reading', 404, 'has no payload', '{empty}')
    read('read_secret_without_a_token', None, 401, 'requires authentication')
    read('read_secret_with_a_bad_token', 'nobody', 401, 'requires authentication')
    on('show_secret_of_another_project', 'creator2', 'GET', '/secrets/{secret}', 403)
    on('show_unknown_secret', 'creator', 'GET', '/secrets/{unknown}', 404, text='Secret not found.')
    on('key_manager_path_that_is_none', 'creator', 'GET', '/nothing', 404, text='"description": ""')
    acl = lambda name, want, body=None, method='PUT', **options: on(name, 'creator', method, '/secrets/{secret}/acl', want, body, **options)
    acl('show_acl', 200, method='GET', reads=['read/project-access'])
    acl('let_the_owner_read_in_person', 200, {'read': {'users': ['{user}'], 'project-access': True}}, reads=['acl_ref'])
    acl('show_acl_with_a_user', 200, method='GET', reads=['read/users/[]'])
    read('read_secret_by_trust_of_the_listed_user', 'trust', 200, 'a-token')
    acl('make_secret_private', 200, {'read': {'project-access': False}})
    read('read_private_secret_by_its_owners_trust', 'reading', 200, 'a-token')
    read('read_private_secret_by_trust_without_the_role', 'trust', 403)
    acl('delete_acl', 200, method='DELETE')
    on('delete_secret_of_another_project', 'creator2', 'DELETE', '/secrets/{secret}', 403)
    on('delete_secret', 'creator', 'DELETE', '/secrets/{secret}', 204)
    on('delete_secret_twice', 'creator', 'DELETE', '/secrets/{secret}', 404, text='Secret not found.')
    on('delete_secret_without_a_payload', 'creator', 'DELETE', '/secrets/{empty}', 204)
    read('read_deleted_secret', 'reading', 404, 'Secret not found.')
    for which in ('project', 'other_project'):
        s.probe('take_creator_away_in_' + which, 'admin', 'identity', 'DELETE', '/projects/{%s}/users/{user}/roles/{creator}' % which, 204)
    # Keystone ends the tokens of a user who lost a role.
    s.sign_in('sign_in_as_tenant_again', 'tenant', password('eq-{run}', 'lab', project=project('eq-{run}')))
    s.sign_in('sign_in_to_other_project_again', 'other', password('eq-{run}', 'lab', project=project('eq-other-{run}')))
    s.sign_in('sign_in_by_trust_again', 'trust', password('protector', s.accounts['protector'][0], **{'OS-TRUST:trust': {'id': '{trust}'}}))


def types(s):
    s.probe('create_volume_type', 'admin', 'volume', 'POST', '/types', 200, {'volume_type': {'name': 'eq-{run}', 'description': 'equality', 'extra_specs': {
        'replication_enabled': '<is> True', 'replication_type': '<in> async', 'volume_backend_name': 'pure'}}}, keep={'type': 'volume_type.id'})
    s.probe('create_volume_type_twice', 'admin', 'volume', 'POST', '/types', 409, {'volume_type': {'name': 'eq-{run}'}})
    s.probe('list_volume_types', 'protector', 'volume', 'GET', '/types', 200, query={'is_public': 'None', **PAGE}, reads=['volume_types/[]/id', 'volume_types/[]/name', 'volume_types/[]/extra_specs', 'volume_types/[]/is_public'], what='list volume types')
    s.probe('list_volume_types_as_tenant', 'trust', 'volume', 'GET', '/types', 200, query=PAGE, reads=['volume_types/[]/id'])
    s.probe('show_volume_type', 'protector', 'volume', 'GET', '/types/{type}', 200, reads=['volume_type/extra_specs/replication_enabled'], what='show volume type')
    s.probe('show_volume_type_as_tenant', 'trust', 'volume', 'GET', '/types/{type}', 200)
    s.probe('show_encryption', 'protector', 'volume', 'GET', '/types/{type}/encryption', 200, what='show encryption of volume type')
    s.probe('show_encryption_of_an_unknown_type', 'protector', 'volume', 'GET', '/types/{unknown}/encryption', 404, text='could not be found')
    s.probe('show_unknown_volume_type', 'protector', 'volume', 'GET', '/types/{unknown}', 404, text='could not be found')
    s.probe('list_pools', 'protector', 'volume', 'GET', '/scheduler-stats/get_pools', 200, query={'detail': 'true'}, reads=['pools/[]/name', 'pools/[]/capabilities/volume_backend_name'], what='list pools')
    s.probe('list_pools_as_tenant', 'trust', 'volume', 'GET', '/scheduler-stats/get_pools', 403, query={'detail': 'true'}, text='get_pools')
    s.probe('list_services', 'protector', 'volume', 'GET', '/os-services', 200, query={'binary': 'cinder-volume'}, reads=['services/[]/host', 'services/[]/status', 'services/[]/state'], what='list services')
    s.probe('list_services_as_tenant', 'trust', 'volume', 'GET', '/os-services', 403)
    services = s.call('protector', 'volume', 'GET', '/os-services', query={'binary': 'cinder-volume'}).json()['services']
    s.ids['host'] = services[0]['host']
    s.probe('create_flavor', 'admin', 'compute', 'POST', '/flavors', 200, {'flavor': {'name': 'eq-{run}', 'ram': 64, 'vcpus': 1, 'disk': 0}}, keep={'flavor': 'flavor.id'})
    s.probe('create_second_flavor', 'admin', 'compute', 'POST', '/flavors', 200, {'flavor': {'name': 'eq2-{run}', 'ram': 128, 'vcpus': 1, 'disk': 0}}, keep={'flavor2': 'flavor.id'})
    s.probe('list_flavors', 'protector', 'compute', 'GET', '/flavors/detail', 200, query={'is_public': 'None', **PAGE}, reads=['flavors/[]/id', 'flavors/[]/name', 'flavors/[]/vcpus', 'flavors/[]/ram', 'flavors/[]/disk'], what='list flavors')
    s.probe('page_of_flavors', 'trust', 'compute', 'GET', '/flavors/detail', 200, query={'limit': '1'}, reads=['flavors_links/[]/rel'])
    s.probe('show_unknown_flavor', 'trust', 'compute', 'GET', '/flavors/{unknown}', 404, text='could not be found')
    for service, version in (('compute', 'compute 2.999'), ('volume', 'volume 3.999')):
        s.probe(service + '_at_an_unknown_microversion', 'tenant', service, 'GET', '/limits', 406, version=version, text='is not supported by the API')
        s.probe(service + '_with_a_bad_token', 'nobody', service, 'GET', '/limits', 401)
        s.probe(service + '_without_a_token', None, service, 'GET', '/limits', 401)
        s.probe(service + '_unknown_route', 'tenant', service, 'GET', '/nothing-of-this-name', 404)
    s.probe('network_with_a_bad_token', 'nobody', 'network', 'GET', '/ports', 401)
    s.probe('network_without_a_token', None, 'network', 'GET', '/ports', 401)
    s.probe('network_unknown_route', 'tenant', 'network', 'GET', '/nothing-of-this-name', 404)


def networks(s):
    s.probe('create_network', 'tenant', 'network', 'POST', '/networks', 201, {'network': {'name': 'eq-{run}'}}, keep={'net': 'network.id'})
    # Neutron draws addresses at random; those that the probes ask for by name are none of the pool's.
    s.probe('create_subnet', 'tenant', 'network', 'POST', '/subnets', 201, {'subnet': {'name': 'eq-{run}', 'network_id': '{net}', 'cidr': '10.99.1.0/24', 'ip_version': 4, 'enable_dhcp': False,
            'allocation_pools': [{'start': '10.99.1.100', 'end': '10.99.1.199'}]}}, keep={'subnet': 'subnet.id'})
    s.probe('create_subnet_that_overlaps', 'tenant', 'network', 'POST', '/subnets', 400, {'subnet': {'network_id': '{net}', 'cidr': '10.99.1.0/25', 'ip_version': 4}})
    s.probe('create_shared_network', 'admin', 'network', 'POST', '/networks', 201, {'network': {'name': 'eq-shared-{run}', 'shared': True}}, keep={'shared': 'network.id'})
    s.probe('create_shared_subnet', 'admin', 'network', 'POST', '/subnets', 201, {'subnet': {'network_id': '{shared}', 'cidr': '10.99.2.0/24', 'ip_version': 4, 'enable_dhcp': False,
            'allocation_pools': [{'start': '10.99.2.100', 'end': '10.99.2.199'}]}}, keep={'shared_subnet': 'subnet.id'})
    s.probe('create_security_group', 'tenant', 'network', 'POST', '/security-groups', 201, {'security_group': {'name': 'eq-{run}'}}, keep={'sg': 'security_group.id'})
    s.probe('list_networks', 'trust', 'network', 'GET', '/networks', 200, query=PAGE, reads=['networks/[]/id', 'networks/[]/name', 'networks/[]/project_id', 'networks/[]/shared', 'networks/[]/router:external', 'networks/[]/subnets'], what='list networks')
    s.probe('list_subnets', 'trust', 'network', 'GET', '/subnets', 200, query=PAGE, reads=['subnets/[]/id', 'subnets/[]/network_id', 'subnets/[]/cidr', 'subnets/[]/ip_version', 'subnets/[]/gateway_ip', 'subnets/[]/ipv6_address_mode'], what='list subnets')
    s.probe('list_security_groups', 'trust', 'network', 'GET', '/security-groups', 200, query=PAGE, reads=['security_groups/[]/id', 'security_groups/[]/name', 'security_groups/[]/project_id'], what='list security groups')
    s.probe('show_unknown_network', 'trust', 'network', 'GET', '/networks/{unknown}', 404, text='NetworkNotFound')
    s.probe('show_unknown_subnet', 'trust', 'network', 'GET', '/subnets/{unknown}', 404, text='SubnetNotFound')
    s.probe('show_unknown_security_group', 'trust', 'network', 'GET', '/security-groups/{unknown}', 404, text='SecurityGroupNotFound')
    reads = ['port/' + key for key in ('id', 'name', 'description', 'network_id', 'mac_address', 'fixed_ips/[]/subnet_id', 'fixed_ips/[]/ip_address', 'security_groups',
             'allowed_address_pairs', 'port_security_enabled', 'binding:vnic_type', 'device_id', 'device_owner', 'project_id', 'status')]

    def port(name, want, actor='trust', text=None, keep=None, reads=(), **wanted):
        body = {'name': 'eq-{run}', 'description': 'equality', 'admin_state_up': True, 'network_id': '{net}', **wanted}
        s.probe(name, actor, 'network', 'POST', '/ports', want, {'port': body}, text=text, keep=keep, reads=reads, what='create port')

    fixed = lambda address, subnet='{subnet}': [{'subnet_id': subnet, 'ip_address': address}]
    port('create_port', 201, reads=reads, keep={'port': 'port.id', 'mac': 'port.mac_address'}, security_groups=['{sg}'], port_security_enabled=True,
         mac_address='fa:16:3e:99:00:01', fixed_ips=fixed('10.99.1.50'), allowed_address_pairs=[{'ip_address': '10.99.1.60', 'mac_address': 'fa:16:3e:99:00:09'}])
    port('create_second_port', 201, keep={'port2': 'port.id'}, port_security_enabled=False, security_groups=[], fixed_ips=[{'subnet_id': '{subnet}'}])
    port('create_port_with_a_taken_address', 409, text='IpAddressAlreadyAllocated', fixed_ips=fixed('10.99.1.50'))
    port('create_port_with_a_taken_mac', 409, text='MacAddressInUse', mac_address='fa:16:3e:99:00:01')
    port('create_port_outside_its_subnet', 400, text='InvalidIpForSubnet', fixed_ips=fixed('10.98.1.50'))
    port('create_port_with_no_address_at_all', 400, text='HTTPBadRequest', fixed_ips=fixed('nonsense'))
    port('create_port_in_an_unknown_network', 404, text='NetworkNotFound', network_id='{unknown}')
    port('create_port_in_an_unknown_security_group', 404, text='SecurityGroupNotFound', security_groups=['{unknown}'])
    port('create_port_with_groups_and_no_security', 400, text='PortSecurityAndIPRequiredForSecurityGroups', port_security_enabled=False, security_groups=['{sg}'])
    port('create_port_with_a_mac_in_a_shared_network', 403, network_id='{shared}', mac_address='fa:16:3e:99:00:02')
    port('create_port_with_an_address_in_a_shared_network', 403, network_id='{shared}', fixed_ips=fixed('10.99.2.9', '{shared_subnet}'))
    port('create_plain_port_in_a_shared_network', 201, network_id='{shared}', keep={'port3': 'port.id'})
    port('create_port_for_someone_else', 201, actor='protector', network_id='{shared}', project_id='{project}', mac_address='fa:16:3e:99:00:03', fixed_ips=fixed('10.99.2.9', '{shared_subnet}'), keep={'port4': 'port.id'})
    s.probe('list_ports', 'trust', 'network', 'GET', '/ports', 200, query=PAGE, reads=['ports/[]/id', 'ports/[]/fixed_ips/[]/ip_address'], what='list ports')
    s.probe('page_of_ports', 'trust', 'network', 'GET', '/ports', 200, query={'limit': '1', 'fixed_ips': 'ip_address=10.99.1.50'}, reads=['ports/[]/id', 'ports_links/[]/rel'])
    s.probe('list_ports_of_a_project', 'protector', 'network', 'GET', '/ports', 200, query={'project_id': '{project}', **PAGE}, text=s.ids.get('port'), what='list ports of project')
    s.probe('list_ports_of_another_project', 'protector', 'network', 'GET', '/ports', 200, query={'project_id': '{other_project}', **PAGE}, lacks=s.ids.get('port'))
    s.probe('list_ports_of_no_server', 'trust', 'network', 'GET', '/ports', 200, query={'device_id': '{unknown}', **PAGE}, reads=['ports'])
    s.probe('show_port', 'trust', 'network', 'GET', '/ports/{port}', 200, reads=reads)
    s.probe('show_port_of_another_project', 'other', 'network', 'GET', '/ports/{port}', 404, text='PortNotFound')
    s.probe('show_unknown_port', 'trust', 'network', 'GET', '/ports/{unknown}', 404, text='PortNotFound')
    s.probe('delete_unknown_port', 'trust', 'network', 'DELETE', '/ports/{unknown}', 404, text='PortNotFound', what='delete port')
    for name in ('port3', 'port4'):
        s.probe('delete_' + name, 'trust', 'network', 'DELETE', '/ports/{%s}' % name, 204)
    s.probe('delete_network_in_use', 'tenant', 'network', 'DELETE', '/networks/{net}', 409, text='NetworkInUse')
    s.probe('network_quota', 'protector', 'network', 'GET', '/quotas/{project}/details.json', 200, reads=['quota/port/limit', 'quota/port/used', 'quota/port/reserved'], what='show quota')


def make(s, name, actor='tenant', **wanted):
    body = {'name': name + '-{run}', 'size': 1, 'volume_type': 'eq-{run}', **wanted}
    s.probe('create_volume_' + name, actor, 'volume', 'POST', '/volumes', 202, {'volume': body}, keep={name: 'volume.id'}, reads=['volume/id'])


def settled(s, name, actor='tenant', wanted=('available', 'error')):
    return s.until(actor, 'volume', '/volumes/{%s}' % name, 'volume.status', wanted)


def volumes(s):
    for name, actor in (('source', 'protector'), ('boot', 'tenant'), ('data', 'tenant'), ('grouped', 'tenant')):
        make(s, name, actor)
    s.probe('create_volume_of_an_unknown_type', 'tenant', 'volume', 'POST', '/volumes', 404, {'volume': {'size': 1, 'volume_type': 'none-{run}'}}, text='could not be found')
    s.probe('create_volume_without_size', 'tenant', 'volume', 'POST', '/volumes', 400, {'volume': {'name': 'x'}})
    settled(s, 'boot')
    reads = ['id', 'name', 'description', 'status', 'size', 'bootable', 'volume_type', 'metadata', 'attachments', 'multiattach', 'encrypted', 'group_id', 'os-vol-tenant-attr:tenant_id']
    admin = ['os-vol-host-attr:host', 'provider_id']
    s.probe('show_volume', 'trust', 'volume', 'GET', '/volumes/{boot}', 200, reads=['volume/' + r for r in reads], what='show volume')
    s.probe('show_volume_as_service', 'protector', 'volume', 'GET', '/volumes/{boot}', 200, reads=['volume/' + r for r in reads + admin])
    s.probe('show_volume_of_another_project', 'other', 'volume', 'GET', '/volumes/{boot}', 404, text='could not be found')
    s.probe('show_unknown_volume', 'trust', 'volume', 'GET', '/volumes/{unknown}', 404, text='Volume 00000000-0000-4000-8000-000000000000 could not be found.')
    s.probe('list_volumes', 'trust', 'volume', 'GET', '/volumes/detail', 200, query=PAGE, reads=['volumes/[]/' + r for r in reads], what='list volumes')
    s.probe('page_of_volumes', 'trust', 'volume', 'GET', '/volumes/detail', 200, query={'limit': '1'}, reads=['volumes/[]/id', 'volumes_links/[]/rel'])
    s.probe('list_volumes_of_all', 'protector', 'volume', 'GET', '/volumes/detail', 200, query={'all_tenants': '1', 'project_id': '{project}', **PAGE}, text=s.ids.get('boot'), lacks=s.ids.get('source'), reads=['volumes/[]/' + r for r in reads + admin], what='list volumes of project')
    s.probe('list_volumes_of_another_project', 'protector', 'volume', 'GET', '/volumes/detail', 200, query={'all_tenants': '1', 'project_id': '{other_project}', **PAGE}, lacks=s.ids.get('boot'), reads=['volumes'])
    act = ('volume', 'POST', '/volumes/{boot}/action')
    s.probe('set_bootable', 'trust', *act, 200, {'os-set_bootable': {'bootable': True}}, what='set bootable flag')
    s.probe('set_image_metadata', 'trust', *act, 200, {'os-set_image_metadata': {'metadata': {'hw_disk_bus': 'scsi', 'os_type': 'linux'}}}, what='set image metadata')
    s.probe('set_bootable_of_an_unknown_volume', 'trust', 'volume', 'POST', '/volumes/{unknown}/action', 404, {'os-set_bootable': {'bootable': True}})
    s.probe('unknown_volume_action', 'trust', *act, 400, {'os-nothing': {}})
    s.probe('set_volume_metadata', 'trust', 'volume', 'POST', '/volumes/{boot}/metadata', 200, {'metadata': {'tier': 'gold'}}, reads=['metadata/tier'], what='set volume metadata')
    s.probe('rename_volume', 'trust', 'volume', 'PUT', '/volumes/{boot}', 200, {'volume': {'name': 'boot-{run}', 'description': 'equality'}}, reads=['volume/name'], what='rename volume')
    s.probe('rename_unknown_volume', 'trust', 'volume', 'PUT', '/volumes/{unknown}', 404, {'volume': {'name': 'x'}})
    s.probe('show_volume_with_image_metadata', 'trust', 'volume', 'GET', '/volumes/{boot}', 200, reads=['volume/volume_image_metadata/hw_disk_bus', 'volume/metadata/tier'])
    s.probe('messages', 'trust', 'volume', 'GET', '/messages', 200, query={'resource_uuid': '{boot}', **PAGE}, reads=['messages'], what='list messages')
    s.probe('delete_unknown_volume', 'trust', 'volume', 'DELETE', '/volumes/{unknown}', 404, text='could not be found', what='delete volume')


def wanted_volume(source, **changes):
    return {'volume': {'host': '{host}', 'ref': {'source-name': source, 'name': source}, 'name': 'managed-{run}', 'description': 'equality',
                       'volume_type': 'eq-{run}', 'bootable': True, **changes}}


def transfers(s):
    manage = ('volume', 'POST', '/manageable_volumes')
    settled(s, 'source', 'protector')
    s.probe('unmanage_as_tenant', 'trust', 'volume', 'POST', '/volumes/{boot}/action', 403, {'os-unmanage': {}}, text='volume_extension:volume_unmanage')
    s.probe('unmanage', 'protector', 'volume', 'POST', '/volumes/{source}/action', 202, {'os-unmanage': {}}, what='unmanage volume')
    s.probe('unmanage_unknown_volume', 'protector', 'volume', 'POST', '/volumes/{unknown}/action', 404, {'os-unmanage': {}})
    s.until('protector', 'volume', '/volumes/{source}', 'volume.status', None)
    s.probe('show_unmanaged_volume', 'protector', 'volume', 'GET', '/volumes/{source}', 404)
    s.probe('manage_as_tenant', 'trust', *manage, 403, wanted_volume('x'), text='volume_extension:volume_manage')
    s.probe('manage', 'protector', *manage, 202, wanted_volume('volume-{source}-cinder-unmanaged'), keep={'managed': 'volume.id'}, reads=['volume/id'], what='manage volume')
    # The real driver can't delete what it never took over, and the volume stays in error_deleting: so it is none of
    # the service project's, whose quota later runs need, and of a type that stays too.
    s.probe('manage_a_bad_ref', 'keeper', *manage, 202, wanted_volume('none-{run}', volume_type='__DEFAULT__'), keep={'bad': 'volume.id'})
    s.probe('manage_without_a_ref', 'protector', *manage, 400, {'volume': {'host': '{host}'}})
    s.probe('manage_with_an_unknown_key', 'protector', *manage, 400, wanted_volume('x', nonsense=1))
    s.probe('manage_of_an_unknown_type', 'protector', *manage, 400, wanted_volume('x', volume_type='none-{run}'), text='Cannot find requested')
    s.probe('manage_on_an_unknown_host', 'protector', *manage, 400, wanted_volume('x', host='none@none'), text='not found')
    # How it is found out beforehand who may.
    nowhere = {'volume': {'host': 'protector-validate@nowhere#nowhere', 'name': 'protector-validate',
                          'ref': {'source-name': 'protector-validate', 'name': 'protector-validate'}}}
    s.probe('manage_nowhere', 'protector', *manage, 400, nowhere, what="manage a volume that isn't there")
    s.probe('manage_nowhere_as_tenant', 'trust', *manage, 403, nowhere, text='volume_extension:volume_manage')
    s.probe('manage_at_an_old_microversion', 'protector', *manage, 404, wanted_volume('x'), version='volume 3.0')
    settled(s, 'managed', 'protector')
    s.probe('show_managed_volume', 'protector', 'volume', 'GET', '/volumes/{managed}', 200, text='"available"', reads=['volume/provider_id'])
    s.probe('manage_what_is_managed', 'protector', *manage, 400, wanted_volume('volume-{managed}'), text='already managed')
    settled(s, 'bad', 'keeper')
    s.probe('show_volume_that_could_not_be_managed', 'keeper', 'volume', 'GET', '/volumes/{bad}', 200, text='"error"')
    s.probe('delete_volume_that_could_not_be_managed', 'keeper', 'volume', 'DELETE', '/volumes/{bad}', 202)
    settled(s, 'bad', 'keeper', ('error_deleting',))
    s.probe('show_volume_that_could_not_be_deleted', 'keeper', 'volume', 'GET', '/volumes/{bad}', 200, text='"error_deleting"', reads=['volume/provider_id'])
    create = ('volume', 'POST', '/volume-transfers')
    body = {'transfer': {'volume_id': '{managed}', 'name': 'eq-{run}', 'no_snapshots': True}}
    s.probe('create_transfer', 'protector', *create, 202, body, keep={'transfer': 'transfer.id', 'key': 'transfer.auth_key'}, reads=['transfer/id', 'transfer/auth_key'], what='create volume transfer')
    s.probe('create_transfer_twice', 'protector', *create, 400, body)
    s.probe('create_transfer_of_an_unknown_volume', 'protector', *create, 404, {'transfer': {'volume_id': '{unknown}', 'name': 'x', 'no_snapshots': True}})
    s.probe('delete_volume_awaiting_transfer', 'protector', 'volume', 'DELETE', '/volumes/{managed}', 400)
    s.probe('list_transfers', 'protector', 'volume', 'GET', '/volume-transfers/detail', 200, query=PAGE, reads=['transfers/[]/id', 'transfers/[]/volume_id', 'transfers/[]/name'], what='list volume transfers')
    s.probe('show_transfer', 'protector', 'volume', 'GET', '/volume-transfers/{transfer}', 200)
    s.probe('show_unknown_transfer', 'protector', 'volume', 'GET', '/volume-transfers/{unknown}', 404, text='could not be found')
    s.probe('delete_transfer', 'protector', 'volume', 'DELETE', '/volume-transfers/{transfer}', 202, what='delete volume transfer')
    s.probe('delete_transfer_twice', 'protector', 'volume', 'DELETE', '/volume-transfers/{transfer}', 404)
    s.probe('volume_after_a_deleted_transfer', 'protector', 'volume', 'GET', '/volumes/{managed}', 200, text='"available"')
    s.probe('create_transfer_again', 'protector', *create, 202, body, keep={'transfer': 'transfer.id', 'key': 'transfer.auth_key'})
    accept = ('volume', 'POST', '/volume-transfers/{transfer}/accept')
    s.probe('accept_with_a_wrong_key', 'trust', *accept, 400, {'accept': {'auth_key': '0123456789abcdef'}})
    s.probe('accept_transfer', 'trust', *accept, 202, {'accept': {'auth_key': '{key}'}}, what='accept volume transfer')
    s.probe('accept_twice', 'trust', *accept, 404, {'accept': {'auth_key': '{key}'}}, text='could not be found')
    settled(s, 'managed', 'trust')
    s.probe('the_volume_is_the_tenants', 'trust', 'volume', 'GET', '/volumes/{managed}', 200, text=s.ids['project'])


def a_second_later(s, *servers):
    """Keeps a time at which these servers have last changed, and waits until whatever comes now is later."""
    updated = [s.call('trust', 'compute', 'GET', '/servers/{%s}' % name).json()['server']['updated'] for name in servers if name in s.ids]
    mark = max(datetime.datetime.fromisoformat(at.replace('Z', '+00:00')) for at in updated) + datetime.timedelta(seconds=1)
    time.sleep(max(0.0, mark.timestamp() - time.time()))
    s.ids['mark'] = mark.strftime('%Y-%m-%dT%H:%M:%SZ')


def compute(s):
    key = {'keypair': {'name': 'eq-{run}', 'public_key': public_key(7), 'type': 'ssh'}}
    s.probe('create_keypair', 'trust', 'compute', 'POST', '/os-keypairs', 201, key, what='create keypair')
    s.probe('create_keypair_twice', 'trust', 'compute', 'POST', '/os-keypairs', 409, key, text='already exists')
    s.probe('create_keypair_of_nonsense', 'trust', 'compute', 'POST', '/os-keypairs', 400, {'keypair': {'name': 'x', 'public_key': 'nonsense', 'type': 'ssh'}})
    s.probe('show_keypair', 'trust', 'compute', 'GET', '/os-keypairs/eq-{run}', 200, reads=['keypair/name', 'keypair/public_key', 'keypair/type'], what='show keypair')
    s.probe('show_keypair_as_service', 'protector', 'compute', 'GET', '/os-keypairs/eq-{run}', 200, query={'user_id': '{user}'})
    s.probe('create_second_keypair', 'trust', 'compute', 'POST', '/os-keypairs', 201, {'keypair': {'name': 'eq2-{run}', 'public_key': public_key(8), 'type': 'ssh'}})
    s.probe('delete_keypair_of_a_user', 'protector', 'compute', 'DELETE', '/os-keypairs/eq2-{run}', 204, query={'user_id': '{user}'})
    s.probe('delete_unknown_keypair', 'trust', 'compute', 'DELETE', '/os-keypairs/eq2-{run}', 404, text='not found', what='delete keypair')
    s.probe('show_unknown_keypair', 'trust', 'compute', 'GET', '/os-keypairs/none-{run}', 404, text='not found')
    disk = lambda name, index: {'uuid': '{%s}' % name, 'source_type': 'volume', 'destination_type': 'volume', 'boot_index': index, 'delete_on_termination': False}

    def server(name, want, text=None, keep=None, **wanted):
        body = {'name': 'eq-{run}', 'flavorRef': '{flavor}', 'imageRef': '', 'config_drive': True, 'metadata': {'tier': 'web'}, 'tags': ['dr'],
                'networks': [{'port': '{port}'}, {'port': '{port2}'}], 'block_device_mapping_v2': [disk('boot', 0), disk('data', -1)],
                'key_name': 'eq-{run}', 'user_data': 'Zm9v', 'availability_zone': 'nova', 'description': 'equality', **wanted}
        s.probe(name, 'trust', 'compute', 'POST', '/servers', want, {'server': body}, text=text, keep=keep, what='create server')

    settled(s, 'data')
    server('create_server_with_an_unknown_keypair', 400, 'Invalid key_name provided.', key_name='none-{run}')
    server('create_server_of_an_unknown_flavor', 400, 'could not be found', flavorRef='{unknown}')
    server('create_server_with_an_unknown_port', 400, 'could not be found', networks=[{'port': '{unknown}'}])
    server('create_server_with_an_unknown_volume', 400, block_device_mapping_v2=[disk('unknown', 0)])
    server('create_server_from_what_is_not_bootable', 400, 'is not bootable', block_device_mapping_v2=[disk('data', 0)])
    server('create_server_in_an_unknown_zone', 400, availability_zone='none-{run}')
    server('create_server_with_an_unknown_key', 400, nonsense=1)
    server('create_server', 202, keep={'server': 'server.id'})
    s.until('trust', 'compute', '/servers/{server}', 'server.status', ('ACTIVE', 'ERROR'))
    reads = ['id', 'name', 'status', 'OS-EXT-STS:task_state', 'tenant_id', 'user_id', 'description', 'metadata', 'tags', 'flavor/original_name', 'flavor/vcpus', 'flavor/ram', 'flavor/disk',
             'flavor/ephemeral', 'flavor/swap', 'image', 'key_name', 'config_drive', 'OS-EXT-AZ:availability_zone', 'locked', 'addresses']
    admin = ['OS-EXT-SRV-ATTR:user_data', 'OS-EXT-SRV-ATTR:root_device_name']
    s.probe('show_server', 'trust', 'compute', 'GET', '/servers/{server}', 200, reads=['server/' + r for r in reads], text='"ACTIVE"', what='show server')
    s.probe('show_server_as_service', 'protector', 'compute', 'GET', '/servers/{server}', 200, reads=['server/' + r for r in reads + admin])
    s.probe('list_servers', 'trust', 'compute', 'GET', '/servers/detail', 200, query=PAGE, reads=['servers/[]/' + r for r in reads], what='list servers')
    s.probe('page_of_servers', 'trust', 'compute', 'GET', '/servers/detail', 200, query={'limit': '1'}, reads=['servers_links/[]/rel'])
    s.probe('list_servers_of_all', 'protector', 'compute', 'GET', '/servers/detail', 200, query={'all_tenants': '1', 'project_id': '{project}', **PAGE}, text=s.ids.get('server'), reads=['servers/[]/' + r for r in reads + admin], what='list servers of project')
    s.probe('list_servers_of_another_project', 'protector', 'compute', 'GET', '/servers/detail', 200, query={'all_tenants': '1', 'project_id': '{other_project}', **PAGE}, lacks=s.ids.get('server'), reads=['servers'])
    s.probe('list_servers_of_all_as_tenant', 'trust', 'compute', 'GET', '/servers/detail', 403, query={'all_tenants': '1'})
    s.probe('list_attached_volumes', 'trust', 'compute', 'GET', '/servers/{server}/os-volume_attachments', 200, reads=['volumeAttachments/[]/' + r for r in ('volumeId', 'device', 'delete_on_termination', 'tag')], what='list attached volumes')
    s.probe('keep_attached_volume', 'protector', 'compute', 'PUT', '/servers/{server}/os-volume_attachments/{data}', 202, {'volumeAttachment': {'volumeId': '{data}', 'delete_on_termination': False}}, what='keep attached volume')
    s.probe('list_interfaces', 'trust', 'compute', 'GET', '/servers/{server}/os-interface', 200, reads=['interfaceAttachments/[]/port_id'], what='list interfaces')
    s.probe('list_ports_of_the_server', 'trust', 'network', 'GET', '/ports', 200, query={'device_id': '{server}', **PAGE}, reads=['ports/[]/device_owner'])
    s.probe('show_attached_volume', 'trust', 'volume', 'GET', '/volumes/{data}', 200, text='"in-use"', reads=['volume/attachments/[]/server_id', 'volume/attachments/[]/device'])
    s.probe('unmanage_attached_volume', 'protector', 'volume', 'POST', '/volumes/{data}/action', 400, {'os-unmanage': {}})
    s.probe('delete_attached_volume', 'trust', 'volume', 'DELETE', '/volumes/{data}', 400)
    s.probe('create_transfer_of_an_attached_volume', 'trust', 'volume', 'POST', '/volume-transfers', 400, {'transfer': {'volume_id': '{data}', 'name': 'x', 'no_snapshots': True}})
    server('create_server_with_a_taken_port', 409, 'is still in use', block_device_mapping_v2=[disk('managed', 0)])
    server('create_server_with_a_taken_volume', 400, networks='none')
    act = lambda name, want, body, text=None, what=None, on='{server}': s.probe(name, 'trust', 'compute', 'POST', '/servers/%s/action' % on, want, body, text=text, what=what)
    act('start_running_server', 409, {'os-start': None}, "Cannot 'start' instance", 'start server')
    server('create_server_that_stays_as_it_is', 202, keep={'idle': 'server.id'}, networks='none', block_device_mapping_v2=[disk('managed', 0)])
    s.until('trust', 'compute', '/servers/{idle}', 'server.status', ('ACTIVE', 'ERROR'))
    a_second_later(s, 'server', 'idle')
    act('stop_server', 202, {'os-stop': None}, None, 'stop server')
    s.until('trust', 'compute', '/servers/{server}', 'server.status', ('SHUTOFF', 'ERROR'))
    changed = lambda name, want, since='{mark}', **options: s.probe(name, 'trust', 'compute', 'GET', '/servers/detail', want, query={'changes-since': since, **PAGE}, **options)
    changed('list_changed_servers', 200, text=s.ids.get('server'), lacks=s.ids.get('idle'), reads=['servers/[]/' + r for r in reads + ['updated']], what='list changed servers')
    changed('list_servers_changed_since_long_ago', 200, '2020-01-01T00:00:00Z', text=s.ids.get('idle'))
    changed('list_servers_that_will_have_changed', 200, '2037-01-01T00:00:00Z', lacks=s.ids.get('server'), reads=['servers'])
    changed('list_servers_changed_since_nonsense', 400, 'nonsense', text='changes-since')
    act('stop_stopped_server', 409, {'os-stop': None}, "Cannot 'stop' instance")
    act('start_server', 202, {'os-start': None})
    s.until('trust', 'compute', '/servers/{server}', 'server.status', ('ACTIVE', 'ERROR'))
    act('stop_server_again', 202, {'os-stop': None})
    s.until('trust', 'compute', '/servers/{server}', 'server.status', ('SHUTOFF', 'ERROR'))
    act('lock_server', 202, {'lock': {'locked_reason': 'dr'}}, None, 'lock server')
    s.probe('show_locked_server', 'trust', 'compute', 'GET', '/servers/{server}', 200, reads=['server/locked_reason'])
    act('start_locked_server', 409, {'os-start': None}, 'is locked')
    s.probe('delete_locked_server', 'trust', 'compute', 'DELETE', '/servers/{server}', 409, text='is locked', what='delete server')
    act('unlock_server', 202, {'unlock': None}, None, 'unlock server')
    act('unlock_twice', 202, {'unlock': None})
    act('stop_unknown_server', 404, {'os-stop': None}, None, None, '{unknown}')
    act('unknown_server_action', 400, {'os-nothing': None})
    for name, path in (('server', ''), ('attachments', '/os-volume_attachments'), ('interfaces', '/os-interface')):
        s.probe('show_%s_of_an_unknown_server' % name, 'trust', 'compute', 'GET', '/servers/{unknown}' + path, 404, text='could not be found')
    s.probe('show_server_of_another_project', 'other', 'compute', 'GET', '/servers/{server}', 404)
    s.probe('delete_unknown_server', 'trust', 'compute', 'DELETE', '/servers/{unknown}', 404, text='could not be found')
    s.probe('delete_server', 'trust', 'compute', 'DELETE', '/servers/{server}', 204)
    s.until('trust', 'compute', '/servers/{server}', 'server.status', None)
    s.probe('show_deleted_server', 'trust', 'compute', 'GET', '/servers/{server}', 404)
    changed('list_changed_servers_with_a_deleted_one', 200, text='"DELETED"', lacks=s.ids.get('idle'), reads=['servers/[]/' + r for r in ('id', 'name', 'status', 'tenant_id', 'updated')])
    s.probe('list_servers_without_the_deleted_one', 'trust', 'compute', 'GET', '/servers/detail', 200, query=PAGE, text=s.ids.get('idle'), lacks=s.ids.get('server'))
    s.probe('delete_idle_server', 'trust', 'compute', 'DELETE', '/servers/{idle}', 204)
    s.until('trust', 'compute', '/servers/{idle}', 'server.status', None)
    settled(s, 'managed')
    s.probe('a_given_port_survives', 'trust', 'network', 'GET', '/ports/{port}', 200, text='"device_id": ""')
    settled(s, 'boot')
    s.probe('a_volume_survives', 'trust', 'volume', 'GET', '/volumes/{boot}', 200, text='"available"')


def groups(s):
    body = {'group_type': {'name': 'eq-{run}', 'is_public': True, 'group_specs': {'consistent_group_snapshot_enabled': '<is> True'}}}
    s.probe('create_group_type', 'protector', 'volume', 'POST', '/group_types', 202, body, keep={'group_type': 'group_type.id'}, what='create group type')
    s.probe('create_group_type_twice', 'protector', 'volume', 'POST', '/group_types', 409, body)
    s.probe('create_group_type_as_tenant', 'trust', 'volume', 'POST', '/group_types', 403, body)
    s.probe('list_group_types', 'protector', 'volume', 'GET', '/group_types', 200, query={'is_public': 'None', **PAGE}, reads=['group_types/[]/' + r for r in ('id', 'name', 'is_public', 'group_specs')], what='list group types')
    s.probe('list_group_types_as_tenant', 'trust', 'volume', 'GET', '/group_types', 200, query=PAGE)
    wanted = lambda **changes: {'group': {'name': 'eq-{run}', 'description': 'equality', 'group_type': '{group_type}', 'volume_types': ['{type}'], **changes}}
    s.probe('create_group', 'trust', 'volume', 'POST', '/groups', 202, wanted(), keep={'group': 'group.id'}, reads=['group/id'], what='create volume group')
    s.probe('create_group_of_an_unknown_type', 'trust', 'volume', 'POST', '/groups', 404, wanted(group_type='{unknown}'))
    s.probe('create_group_of_an_unknown_volume_type', 'trust', 'volume', 'POST', '/groups', 404, wanted(volume_types=['{unknown}']))
    s.probe('create_group_without_a_type', 'trust', 'volume', 'POST', '/groups', 400, {'group': {'name': 'x', 'volume_types': ['{type}']}})
    wait = lambda wanted=('available', 'error'): s.until('trust', 'volume', '/groups/{group}', 'group.status', wanted)
    wait()
    change = lambda name, want, text=None, on='{group}', **body: s.probe(name, 'trust', 'volume', 'PUT', '/groups/' + on, want, {'group': body}, text=text, what='update volume group')
    settled(s, 'grouped')
    change('add_volumes_to_group', 202, add_volumes='{grouped},{managed}')
    wait()
    s.probe('show_group', 'trust', 'volume', 'GET', '/groups/{group}', 200, query={'list_volume': 'True'}, text='"available"', reads=['group/' + r for r in ('id', 'name', 'status', 'volumes/[]')], what='show volume group')
    s.probe('list_groups', 'trust', 'volume', 'GET', '/groups/detail', 200, query={'list_volume': 'True', **PAGE}, reads=['groups/[]/' + r for r in ('id', 'name', 'status', 'volumes/[]')], what='list volume groups')
    s.probe('list_groups_of_all', 'protector', 'volume', 'GET', '/groups/detail', 200, query={'list_volume': 'True', 'all_tenants': '1', **PAGE}, reads=['groups/[]/id', 'groups/[]/project_id'])
    s.probe('show_volume_in_group', 'trust', 'volume', 'GET', '/volumes/{grouped}', 200, text=s.ids.get('group'))
    change('add_a_volume_twice', 400, add_volumes='{grouped}')
    change('add_an_unknown_volume', 400, add_volumes='{unknown}')
    change('remove_a_volume_that_is_not_in_it', 400, remove_volumes='{boot}')
    change('change_nothing', 400)
    change('change_unknown_group', 404, on='{unknown}', add_volumes='{grouped}')
    s.probe('show_unknown_group', 'trust', 'volume', 'GET', '/groups/{unknown}', 404, text='could not be found')
    s.probe('delete_volume_in_group', 'trust', 'volume', 'DELETE', '/volumes/{grouped}', 400)
    s.probe('unmanage_volume_in_group', 'protector', 'volume', 'POST', '/volumes/{grouped}/action', 400, {'os-unmanage': {}})
    delete = {'delete': {'delete-volumes': False}}
    s.probe('delete_group_with_volumes', 'trust', 'volume', 'POST', '/groups/{group}/action', 400, delete, what='delete volume group')
    s.probe('delete_unknown_group', 'trust', 'volume', 'POST', '/groups/{unknown}/action', 404, delete)
    change('remove_volumes_from_group', 202, remove_volumes='{grouped},{managed}')
    wait()
    s.probe('delete_group', 'trust', 'volume', 'POST', '/groups/{group}/action', 202, delete)
    wait(None)
    s.probe('show_deleted_group', 'trust', 'volume', 'GET', '/groups/{group}', 404)


def limits(s):
    s.probe('compute_quota', 'trust', 'compute', 'GET', '/os-quota-sets/{project}/detail', 200, reads=['quota_set/%s/%s' % (q, r) for q in ('instances', 'cores', 'ram') for r in ('limit', 'in_use', 'reserved')])
    s.probe('compute_quota_of_another_project', 'other', 'compute', 'GET', '/os-quota-sets/{project}/detail', 403)
    s.probe('compute_limits', 'trust', 'compute', 'GET', '/limits', 200, reads=['limits/absolute/' + r for r in ('maxTotalInstances', 'totalInstancesUsed', 'maxTotalCores', 'totalCoresUsed', 'maxTotalRAMSize', 'totalRAMUsed')], what='show limits')
    s.probe('volume_quota', 'trust', 'volume', 'GET', '/os-quota-sets/{project}', 200, query={'usage': 'True'}, reads=['quota_set/%s/%s' % (q, r) for q in ('volumes', 'gigabytes', 'volumes_eq-' + s.run, 'gigabytes_eq-' + s.run) for r in ('limit', 'in_use', 'reserved')])
    s.probe('volume_quota_of_another_project', 'other', 'volume', 'GET', '/os-quota-sets/{project}', 403, query={'usage': 'True'})
    s.probe('volume_limits', 'trust', 'volume', 'GET', '/limits', 200, reads=['limits/absolute/' + r for r in ('maxTotalVolumes', 'totalVolumesUsed', 'maxTotalVolumeGigabytes', 'totalGigabytesUsed')])


def trust_end(s):
    for name in ('boot', 'data', 'grouped', 'managed'):
        s.probe('delete_volume_' + name, 'trust', 'volume', 'DELETE', '/volumes/{%s}' % name, 202)
    for name in ('port', 'port2'):
        s.probe('delete_' + name, 'trust', 'network', 'DELETE', '/ports/{%s}' % name, 204)
    for name in ('boot', 'data', 'grouped', 'managed'):
        s.until('trust', 'volume', '/volumes/{%s}' % name, 'volume.status', None, 60)
    secret, _ = s.accounts['protector']
    s.probe('take_the_role_away', 'admin', 'identity', 'DELETE', '/projects/{project}/users/{user}/roles/{member}', 204)
    s.sign_in('sign_in_by_trust_without_the_role', 'x', password('protector', secret, **{'OS-TRUST:trust': {'id': '{trust}'}}), 403)
    s.probe('a_token_without_the_role', 'tenant', 'identity', 'GET', '/auth/tokens', 401, headers={'X-Subject-Token': s.token('tenant').value})


# What is left, in the order in which it can go. Who made it doesn't matter: the administrator deletes.
LEFT = [('server', 'compute', '/servers/{server}'), ('idle', 'compute', '/servers/{idle}'), ('group', 'volume', None), ('port', 'network', '/ports/{port}'), ('port2', 'network', '/ports/{port2}'),
        ('port3', 'network', '/ports/{port3}'), ('port4', 'network', '/ports/{port4}'), ('net', 'network', '/networks/{net}'),
        ('shared', 'network', '/networks/{shared}'), ('sg', 'network', '/security-groups/{sg}'),
        ('flavor', 'compute', '/flavors/{flavor}'), ('flavor2', 'compute', '/flavors/{flavor2}')]


def clean(s):
    """Deletes what this run made, whatever came of it."""
    def gone(service, path, method='DELETE', body=None):
        try:
            s.call('admin', service, method, path, body)
        except Exception as reason:
            print('%s: %s stays: %s' % (s.name, path, reason))

    for key, service, path in LEFT:
        if key in s.ids and path:
            gone(service, path)
        elif key in s.ids:
            gone('volume', '/groups/{group}/action', 'POST', {'delete': {'delete-volumes': False}})
    for name in ('server', 'idle'):
        if name in s.ids:
            s.until('admin', 'compute', '/servers/{%s}' % name, 'server.status', None, 60)
    disks = [name for name in ('source', 'boot', 'data', 'grouped', 'managed') if name in s.ids]
    for name in disks:
        gone('volume', '/volumes/{%s}' % name)
    for name in disks:
        s.until('admin', 'volume', '/volumes/{%s}' % name, 'volume.status', None, 30)
    if 'group_type' in s.ids:
        gone('volume', '/group_types/{group_type}')
    if 'type' in s.ids:
        gone('volume', '/types/{type}')
    gone('identity', '/users/{user}')
    for name in ('project', 'other_project'):
        for found in s.call('admin', 'network', 'GET', '/security-groups', query={'project_id': '{%s}' % name}).json().get('security_groups', []):
            s.ids['default_sg'] = found['id']
            gone('network', '/security-groups/{default_sg}')
        gone('identity', '/projects/{%s}' % name)
