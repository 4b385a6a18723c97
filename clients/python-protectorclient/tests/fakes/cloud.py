# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Two sites in memory that follow docs/api.md, for requests-mock.

Each site is a Keystone, a little Nova and Neutron, and a protector API.
Faults: ``down`` (nothing answers), ``fail`` (a set of (method, suffix) whose
next call is refused), ``before`` (hooks called before a request is served).
"""

import base64
import copy
import datetime
import json
import re
import time
import uuid

from keystoneauth1 import fixture
import requests

PROJECTS = {'a': 'a' * 32, 'b': 'b' * 32}


def decode(text):
    return json.loads(base64.b64decode(text).decode())


class Fault(Exception):
    def __init__(self, code, message, **extra):
        self.code = code
        self.body = {'conflictingRequest' if code == 409 else 'fault': dict(
            extra, code=code, message=message)}
        super(Fault, self).__init__(message)


class World(object):
    def __init__(self, mocker):
        self.mocker = mocker
        self.a = FakeSite(self, 'a')
        self.b = FakeSite(self, 'b')
        self.sites = {self.a.id: self.a, self.b.id: self.b}
        self.log = []

    def register(self):
        """Both sites know both rows."""
        for site in (self.a, self.b):
            for row in (self.a.row(), self.b.row()):
                site.rows[row['id']] = row
        return self

    def active(self):
        for site in (self.a, self.b):
            for group in site.groups.values():
                group['status'] = 'active'
                for member in group['document']['members']:
                    site.member_status[member['id']] = 'protected'


class FakeSite(object):
    def __init__(self, world, letter):
        self.world = world
        self.letter = letter
        self.name = 'site-' + letter
        self.id = str(uuid.uuid5(uuid.NAMESPACE_DNS, self.name))
        self.project = PROJECTS[letter]
        self.auth_url = 'http://keystone-%s:5000/v3' % letter
        self.base = 'http://protector-%s:8788' % letter
        self.key = base64.b64encode(letter.encode() * 32).decode()
        self.rows = {}
        self.groups = {}
        self.mappings = {}
        self.operations = {}
        self.nonces = set()
        self.member_status = {}
        self.member_errors = {}
        # reasons of members that the next unplanned failover leaves out
        self.looked = []
        self.found = {'ready': True, 'findings': []}
        self.left_out = {}
        self.logs = {}
        self.requests = []
        self.down = False
        self.fail = {}
        self.before = []
        self.credentials = {}
        self.version = ('1.0', '1.1')
        self.admin = True
        self.release = '0.1.0'
        self.clock_ahead = 0
        token = fixture.V3Token(project_id=self.project,
                                project_name='demo', user_name='demo')
        token.set_project_scope(id=self.project, name='demo')
        for kind, url in (
                ('protector', '%s/v1/%s' % (self.base, self.project)),
                ('compute', 'http://nova-%s/v2.1' % letter),
                ('network', 'http://neutron-%s' % letter)):
            token.add_service(kind).add_standard_endpoints(
                public=url, region='RegionOne')
        discovery = fixture.DiscoveryList(
            href=self.auth_url[:-3], v2=False)
        mocker = world.mocker
        for method, url, made in (
                ('GET', self.auth_url, discovery),
                ('GET', self.auth_url[:-3] + '/', discovery),
                ('POST', self.auth_url + '/auth/tokens', token)):
            mocker.register_uri(
                method, url, json=self._keystone(made),
                headers={'X-Subject-Token': 'token-' + letter})
        mocker.register_uri(
            'GET', 'http://nova-%s/v2.1/servers' % letter,
            json=lambda request, context: {'servers': [
                {'id': str(uuid.uuid5(uuid.NAMESPACE_DNS, 'web-1')),
                 'name': 'web-1'}]})
        mocker.register_uri(
            'GET', 'http://neutron-%s/v2.0/networks' % letter,
            json=lambda request, context: {'networks': [
                {'id': self.network(), 'name': 'net-' + letter}]})
        mocker.register_uri(
            requests_any(), re.compile(re.escape(self.base) + '.*'),
            json=self._serve)

    def network(self):
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, 'net-' + self.letter))

    def row(self):
        return {'id': self.id, 'name': self.name, 'description': None,
                'site_type': 'primary' if self.letter == 'a'
                else 'secondary', 'auth_url': self.auth_url,
                'region_name': 'RegionOne', 'public_key': self.key,
                'status': 'active'}

    def _keystone(self, answer):
        def serve(request, context):
            if self.down:
                raise requests.exceptions.ConnectionError('refused')
            return json.loads(json.dumps(answer))
        return serve

    # -- the API -----------------------------------------------------------

    def _serve(self, request, context):
        if self.down:
            raise requests.exceptions.ConnectionError('refused')
        path = request.path
        body = request.json() if request.body else None
        self.requests.append((request.method, path, body))
        self.world.log.append((self.letter, request.method, path))
        try:
            for hook in list(self.before):
                hook(self, request.method, path, body)
        except Fault as fault:
            context.status_code = fault.code
            return fault.body
        if self.down:
            raise requests.exceptions.ConnectionError('reset')
        context.headers['x-openstack-request-id'] = 'req-1'
        for (method, suffix), code in list(self.fail.items()):
            if request.method == method and path.endswith(suffix):
                del self.fail[(method, suffix)]
                context.status_code = code
                return {'fault': {'code': code, 'message': 'made to fail'}}
        try:
            code, answer = self._route(request, path, body)
        except Fault as fault:
            context.status_code = fault.code
            return fault.body
        context.status_code = code
        return copy.deepcopy(answer)

    def _route(self, request, path, body):
        own = '/v1/%s' % self.project
        if path in ('/', '/v1', '/v1/'):
            return 200, {'versions': [{
                'id': 'v1.0', 'status': 'CURRENT',
                'version': self.version[1],
                'min_version': self.version[0]}],
                'site': {'id': self.id, 'public_key': self.key,
                         'region_name': None}}
        if request.headers.get('X-Auth-Token') != 'token-' + self.letter:
            raise Fault(401, 'The request you have made requires '
                             'authentication.')
        wanted = request.headers.get('OpenStack-API-Version', '')
        if wanted not in ('protector 1.0', 'protector 1.1'):
            raise Fault(406, 'Version %s is not offered.' % wanted)
        if path.startswith('/v1/admin/sites'):
            if not self.admin:
                raise Fault(403, "Policy doesn't allow it.")
            return self._admin(
                request.method, path[len('/v1/admin/sites'):], body)
        if not path.startswith(own):
            raise Fault(403, 'another project')
        parts = path[len(own):].strip('/').split('/')
        query = request.qs
        if parts == ['sites']:
            return 200, {'sites': [self._site(r) for r in
                                   self.rows.values()]}
        if parts[0] == 'tenant-mappings':
            return self._mappings(request.method, parts[1:], body)
        if parts[0] == 'operations':
            return self._operations(parts[1:], query, body)
        if parts[0] == 'protection-groups':
            return self._groups(request, parts[1:], body, query)
        raise Fault(404, 'no such resource')

    def protector(self):
        now = datetime.datetime(1970, 1, 1) + datetime.timedelta(
            seconds=time.time() + self.clock_ahead)
        return {'release': self.release, 'max_version': '1.1',
                'now': now.strftime('%Y-%m-%dT%H:%M:%S.%fZ')}

    def _site(self, row):
        return dict(row, is_local=row['id'] == self.id,
                    has_service_credentials=row['id'] in self.credentials)

    def _admin(self, method, rest, body):
        parts = [part for part in rest.split('/') if part]
        if not parts and method == 'POST':
            row = dict(body['site'])
            if row['id'] in self.rows:
                raise Fault(409, 'Site %s exists.' % row['name'])
            self._keep_credentials(row)
            row.setdefault('status', 'active')
            self.rows[row['id']] = row
            return 201, {'site': self._site(row)}
        if not parts:
            return 200, {'sites': [self._site(r) for r in
                                   self.rows.values()]}
        row = self.rows.get(parts[0])
        if row is None:
            raise Fault(404, 'Site not found.')
        if parts[1:] == ['validate']:
            return 200, {'site': self._site(dict(
                row, status='unreachable', status_reason='refused')),
                'checks': [{'name': 'keystone', 'ok': False,
                            'message': 'connection refused'}],
                'protector': self.protector()}
        if parts[1:] == ['volume-types']:
            return 200, {'volume_types': [{
                'id': 't1', 'name': 'replicated-ssd',
                'replication_enabled': '<is> True',
                'replication_type': '<in> async'}]}
        if method == 'PATCH':
            changes = dict(body['site'])
            changes['id'] = row['id']
            self._keep_credentials(changes)
            row.update(changes)
        if method == 'DELETE':
            del self.rows[parts[0]]
            return 204, None
        return 200, {'site': self._site(row)}

    def _keep_credentials(self, row):
        found = {key: row.pop(key) for key in list(row)
                 if key.startswith('service_')}
        if found:
            self.credentials[row['id']] = found

    def _mappings(self, method, parts, body):
        if not parts and method == 'POST':
            row = dict(body['tenant_mapping'], created_at='t')
            if any(r['local_tenant'] == row['local_tenant']
                   for r in self.mappings.values()):
                raise Fault(409, 'The project is mapped already.')
            self.mappings[row['id']] = row
            return 201, {'tenant_mapping': row}
        if not parts:
            return 200, {'tenant_mappings': list(self.mappings.values())}
        if parts[0] not in self.mappings:
            raise Fault(404, 'Tenant mapping not found.')
        if method == 'DELETE':
            del self.mappings[parts[0]]
            return 204, None
        return 200, {'tenant_mapping': self.mappings[parts[0]]}

    def _operations(self, parts, query, body):
        if not parts:
            rows = [self._operation(o) for o in
                    reversed(list(self.operations.values()))]
            wanted = query.get('protection_group_id')
            if wanted:
                rows = [r for r in rows
                        if r['protection_group_id'] in wanted]
            return 200, {'operations': rows}
        if parts[0] not in self.operations:
            raise Fault(404, 'Operation not found.')
        operation = self.operations[parts[0]]
        if parts[1:] == ['action']:
            operation['told'] = body
            return 202, {'operation': self._operation(operation)}
        if operation['script']:
            step = operation['script'].pop(0)
            if callable(step):
                step(operation)
            else:
                operation.update(step)
        return 200, {'operation': self._operation(operation)}

    @staticmethod
    def _operation(operation):
        return {k: v for k, v in operation.items()
                if k not in ('script', 'told')}

    # -- groups ------------------------------------------------------------

    def _show(self, group):
        doc = group['document']
        names = {site.id: site.name for site in self.world.sites.values()}
        row = {key: doc[key] for key in (
            'id', 'name', 'description', 'replication_type',
            'primary_site_id', 'secondary_site_id',
            'current_primary_site_id', 'epoch', 'version')}
        for key in ('primary', 'secondary', 'current_primary'):
            row[key + '_site'] = names[doc[key + '_site_id']]
        row.update(status=group['status'], failover_count=0,
                   sync_status=group['sync'], consistency_group_id='cg',
                   member_count=len(doc['members']), has_policy=False,
                   created_at='2025-01-15T09:00:00Z', status_reason=None)
        return row

    def _groups(self, request, parts, body, query):
        method = request.method
        statement = request.headers.get('X-Protector-Statement')
        if not parts:
            if method == 'POST':
                return self._create(body['protection_group'], statement)
            rows = [self._show(g) for g in self.groups.values()]
            for key in ('name', 'status'):
                if key in query:
                    rows = [r for r in rows
                            if r[key].lower() in query[key]]
            return 200, {'protection_groups': rows}
        group_id, rest = parts[0], parts[1:]
        group = self.groups.get(group_id)
        if rest == ['sync'] and method == 'POST':
            return self._sync(group_id, group, body)
        if rest == ['metadata'] and method == 'PUT':
            return self._import(group_id, group, body['bundle'])
        if group is None:
            raise Fault(404, 'Protection group not found.')
        doc = group['document']
        if not rest:
            if method == 'GET':
                return 200, {'protection_group': self._show(group)}
            if method == 'PATCH':
                self._guard(group, statement)
                doc.update(body['protection_group'])
                self._touch(group)
                return 200, {'protection_group': self._show(group)}
            if request.headers.get('X-Protector-Deleted'):
                stone = decode(request.headers['X-Protector-Deleted'])
                assert stone['group'] == group_id
                del self.groups[group_id]
                return 202, None
            self._guard(group, statement)
            del self.groups[group_id]
            return 202, {'tombstone': {'group': group_id,
                                       'version': doc['version'] + 1}}
        if rest == ['sync']:
            return 200, {'sync': self._sync_state(group)}
        if rest == ['sync-log']:
            return 200, {'sync_log': self._log(group_id, doc, query)}
        if rest == ['mappings']:
            if method == 'PUT':
                self._guard(group, statement)
                doc['mappings'] = body['mappings']
                self._touch(group)
            return 200, {'mappings': copy.deepcopy(doc['mappings'])}
        if rest == ['metadata']:
            return 200, {'bundle': {'origin': self.id,
                                    'payload': copy.deepcopy(doc)}}
        if rest[0] == 'members':
            return self._members(method, group, rest[1:], body, statement)
        if rest == ['policy']:
            if method == 'POST':
                self._guard(group, statement)
                self._touch(group)
                group['policy'] = {
                    k: v for k, v in body['policy'].items()
                    if not k.endswith('token')}
                group['policy']['status'] = 'applying'
                return 202, {'policy': group['policy']}
            return 200, {'policy': group['policy']}
        if rest == ['consistency-group']:
            return 200, {'consistency_group': {
                'id': 'cg', 'protection_group_id': group_id,
                'volume_type_name': 'replicated-ssd',
                'backend_name': 'pure@backend-a', 'primary_cg_id': 'p',
                'secondary_cg_id': 's', 'status': 'active',
                'volume_count': 7}}
        if rest == ['action']:
            return self._action(group, body, statement)
        if rest == ['preflight']:
            return self._preflight(group, body['preflight'])
        raise Fault(404, 'no such resource')

    def _create(self, row, statement):
        said = self._said(statement)
        if said['exists']:
            raise Fault(409, 'The peer has this group.')
        doc = dict(row, current_primary_site_id=row['primary_site_id'],
                   epoch=1, version=1, members=[])
        doc.setdefault('description', None)
        group = {'document': doc, 'status': 'creating', 'sync': 'pending'}
        self.groups[row['id']] = group
        return 202, {'protection_group': self._show(group)}

    def _members(self, method, group, parts, body, statement):
        doc = group['document']
        if method == 'POST':
            self._guard(group, statement)
            member = {'id': str(uuid.uuid4()),
                      'instance_id': body['member']['instance_id']}
            doc['members'].append(member)
            self.member_status[member['id']] = 'protecting'
            self._touch(group)
            return 202, {'member': self._member(member)}
        if not parts:
            return 200, {'members': [self._member(m)
                                     for m in doc['members']]}
        found = [m for m in doc['members'] if m['id'] == parts[0]]
        if not found:
            raise Fault(404, 'Member not found.')
        if method == 'DELETE':
            self._guard(group, statement)
            doc['members'].remove(found[0])
            self._touch(group)
            return 202, None
        return 200, {'member': self._member(found[0])}

    def _member(self, member):
        status = self.member_status.get(member['id'], 'protected')
        if status == 'protecting':
            self.member_status[member['id']] = 'protected'
        return {'id': member['id'], 'instance_id': member['instance_id'],
                'instance_name': 'web-server-1', 'status': status,
                'error_message': self.member_errors.get(member['id']),
                'volumes_added': 2,
                'volume_count': 2, 'volumes': [], 'created_at': 't'}

    def _action(self, group, body, statement):
        options = body['failover']
        if options['type'] == 'unplanned':
            return self._take_over(group, options)
        self._guard(group, statement)
        self._touch(group)
        doc = group['document']
        target = doc['secondary_site_id']
        group['status'] = 'failing_over'
        operation_id = str(uuid.uuid4())
        doc['intent'] = operation_id

        def end(operation):
            operation.update(
                status='completed', outcome='completed', progress=100,
                current_step=None, completed_at='t',
                steps_completed=['prepare', 'storage_failover',
                                 'instance_recreation', 'finalization'])
            doc.update(epoch=doc['epoch'] + 1,
                       version=doc['version'] + 1, intent=None,
                       current_primary_site_id=target)
            group.update(status='failed_over', sync='pending')

        return self._begin(
            operation_id, doc, self.id, target, options, end)

    def _preflight(self, group, options):
        if options['type'] == 'planned':
            self._may(group)
        self.looked.append(options)
        return 200, {'preflight': dict(self.found, type=options['type'])}

    def _take_over(self, group, options):
        doc = group['document']
        here = doc['current_primary_site_id'] == self.id
        if here and group['status'] != 'failed_over_partial':
            raise Fault(409, 'The group runs on this site already.')
        if doc.get('intent'):
            raise Fault(409, 'Operation %s may have made things here.'
                        % doc['intent'])
        group['status'] = 'failing_over'
        source = [site for site in (doc['primary_site_id'],
                                    doc['secondary_site_id'])
                  if site != self.id][0]

        def end(operation):
            left_out, self.left_out = self.left_out, {}
            self.member_errors = dict(left_out)
            for member in doc['members']:
                self.member_status[member['id']] = (
                    'error' if member['id'] in left_out else 'protected')
            operation.update(
                status='failed' if left_out else 'completed',
                outcome='partial' if left_out else 'completed',
                progress=100, current_step=None, completed_at='t')
            doc.update(epoch=doc['epoch'] + (0 if here else 1),
                       version=doc['version'] + 1,
                       current_primary_site_id=self.id)
            group.update(
                status='failed_over_partial' if left_out
                else 'failed_over', sync='pending')

        return self._begin(
            str(uuid.uuid4()), doc, source, self.id, options, end)

    def _begin(self, operation_id, doc, source, target, options, end):
        self.operations[operation_id] = {
            'id': operation_id, 'protection_group_id': doc['id'],
            'protection_group': doc['name'], 'operation_type': 'failover',
            'status': 'pending', 'outcome': None, 'waiting_for': None,
            'progress': 0, 'current_step': 'prepare',
            'source_site_id': source, 'target_site_id': target,
            'created_at': '2025-03-12T09:14:00Z',
            'started_at': '2025-03-12T09:14:02Z', 'completed_at': None,
            'error_message': None, 'steps_completed': [],
            'steps_failed': [], 'result_data': {}, 'options': options,
            'script': [
                {'status': 'running', 'progress': 45,
                 'current_step': 'instance_recreation',
                 'steps_completed': ['prepare', 'storage_failover']},
                end],
        }
        return 202, {'operation': self._operation(
            self.operations[operation_id])}

    # -- metadata ----------------------------------------------------------

    def _said(self, statement):
        if not statement:
            raise Fault(400, 'A statement of the peer is needed.')
        said = decode(statement)
        if said['nonce'] not in self.nonces:
            raise Fault(409, 'The nonce is not one of ours.')
        self.nonces.remove(said['nonce'])
        return said

    def _may(self, group):
        doc = group['document']
        names = {site.id: site.name for site in self.world.sites.values()}
        current = doc['current_primary_site_id']
        if current != self.id:
            raise Fault(409, 'The group runs elsewhere.',
                        current_primary_site_id=current,
                        current_primary_site=names[current])
        if doc.get('intent'):
            raise Fault(409, 'Operation %s is not over.' % doc['intent'])
        if group['sync'] != 'synced':
            raise Fault(409, 'Version %s has not reached the other site.'
                        % doc['version'], sync_status=group['sync'])

    def _guard(self, group, statement):
        said = self._said(statement)
        self._may(group)
        doc = group['document']
        if (said['epoch'], said['version']) != (
                doc['epoch'], doc['version']):
            raise Fault(409, 'The peer holds version %s.' % said['version'],
                        sync_status='out_of_sync')

    @staticmethod
    def _touch(group):
        group['document']['version'] += 1
        group['sync'] = 'pending'

    def _sync_state(self, group):
        doc = group['document']
        names = {site.id: site.name for site in self.world.sites.values()}
        return {'status': group['sync'], 'site_id': self.id,
                'site': self.name, 'epoch': doc['epoch'],
                'version': doc['version'],
                'current_primary_site_id': doc['current_primary_site_id'],
                'current_primary_site':
                    names[doc['current_primary_site_id']],
                'modified_at': '2025-01-15T09:15:00Z',
                'last_sync_at': '2025-01-15T09:15:05Z',
                'peer_epoch': None, 'peer_version': None,
                'checksum': json.dumps(doc, sort_keys=True),
                'open_intent': None}

    def _log(self, group_id, doc, query):
        """The lines, lost edits as they stand now."""
        rows = copy.deepcopy(self.logs.get(group_id, []))
        if 'event' in query:
            rows = [row for row in rows if row['event'] in query['event']]
        for row in rows:
            for change in (row.get('lost_edit') or {}).get('changes') or ():
                change['standing'] = self._standing(change, doc)
        return rows

    @staticmethod
    def _standing(change, doc):
        kind = change['change']
        if kind == 'member_removed':
            held = [member['id'] for member in doc['members']]
            return ('missing' if change['member']['id'] in held
                    else 'there')
        if kind == 'mapping':
            now = doc['mappings'].get(change['of'], {}).get(change['source'])
        elif kind in ('name', 'description'):
            now = doc[kind]
        else:
            return 'missing'
        return {change['to']: 'there', change['from']: 'missing'}.get(
            now, 'overwritten')

    def _sync(self, group_id, group, body):
        if 'nonce' in body:
            if group is not None:
                self._may(group)
            value = str(uuid.uuid4())
            self.nonces.add(value)
            return 200, {'nonce': {'value': value, 'group_id': group_id,
                                   'site_id': self.id}}
        if 'statement' in body:
            doc = group['document'] if group else {}
            return 200, {'statement': {
                'nonce': body['statement']['nonce'], 'group_id': group_id,
                'site_id': self.id, 'exists': group is not None,
                'epoch': doc.get('epoch'), 'version': doc.get('version')}}
        if group is None:
            raise Fault(404, 'Protection group not found.')
        if 'failed' in body:
            if group['sync'] != 'synced':
                group['sync'] = 'failed'
            self.logs.setdefault(group_id, []).append({
                'at': 't', 'event': 'refused', 'epoch': 1, 'version': 1,
                'message': body['failed']['reason']})
            return 200, {'sync': self._sync_state(group)}
        if 'reapplied' in body:
            self.logs[group_id].insert(0, dict(
                body['reapplied'], at='t', event='reapplied',
                message='in the group again'))
            return 200, {'sync': self._sync_state(group)}
        receipt = body['receipt']
        doc = group['document']
        if (receipt['epoch'], receipt['version']) != (
                doc['epoch'], doc['version']):
            raise Fault(409, 'The receipt is for another version.')
        group['sync'] = 'synced'
        return 200, {'sync': self._sync_state(group)}

    def _import(self, group_id, group, bundle):
        doc = copy.deepcopy(bundle['payload'])
        if group is not None:
            held = group['document']
            new = (doc['epoch'], doc['version'])
            if new < (held['epoch'], held['version']):
                raise Fault(409, 'This site holds a newer document.',
                            epoch=held['epoch'], version=held['version'])
            group['document'] = doc
            group['sync'] = 'synced'
        else:
            self.groups[group_id] = {
                'document': doc, 'status': 'creating', 'sync': 'synced'}
        return 200, {'receipt': {'group_id': group_id, 'site_id': self.id,
                                 'epoch': doc['epoch'],
                                 'version': doc['version']}}


def requests_any():
    import requests_mock
    return requests_mock.ANY
