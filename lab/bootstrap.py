"""bootstrap.py KEYSTONE_URL REGION SERVICE=URL... : users, roles, services and endpoints of one cloud.

May be repeated. Service users have the password `lab`, and roles admin and service in project service.
"""
import sys

from keystoneauth1 import session
from keystoneauth1.identity import v3

TYPES = {'glance': 'image', 'nova': 'compute', 'placement': 'placement',
         'neutron': 'network', 'cinder': 'block-storage',
         'barbican': 'key-manager',
         'cinderv3': 'volumev3', 'protector': 'protector'}
URL, REGION = sys.argv[1:3]
ENDPOINTS = dict(argument.split('=', 1) for argument in sys.argv[3:])
SESSION = session.Session(v3.Password(
    auth_url=URL, username='admin', password='lab', project_name='admin',
    user_domain_id='default', project_domain_id='default'))


def call(method, path, body=None):
    answer = SESSION.request(URL + path, method, json=body, raise_exc=False)
    if answer.status_code >= 400:
        sys.exit('%s %s: %s %s' % (method, path, answer.status_code,
                                   answer.text))
    return answer.json() if answer.text else None


def ensure(kind, plural, body):
    for found in call('GET', '/' + plural)[plural]:
        if found['name'] == body['name']:
            return found['id']
    return call('POST', '/' + plural, {kind: body})[kind]['id']


roles = {role: ensure('role', 'roles', {'name': role})
         for role in ('admin', 'service', 'manager', 'member', 'reader',
                      'creator')}
project = ensure('project', 'projects',
                 {'name': 'service', 'domain_id': 'default'})
for name in ('glance', 'nova', 'placement', 'neutron', 'barbican', 'cinder',
             'protector'):
    user = ensure('user', 'users', {
        'name': name, 'domain_id': 'default', 'password': 'lab',
        'default_project_id': project})
    for role in ('admin', 'service'):
        call('PUT', '/projects/%s/users/%s/roles/%s'
             % (project, user, roles[role]))
present = {(endpoint['service_id'], endpoint['interface'])
           for endpoint in call('GET', '/endpoints')['endpoints']}
for name, url in ENDPOINTS.items():
    service = ensure('service', 'services',
                     {'name': name, 'type': TYPES[name]})
    for interface in ('public', 'internal', 'admin'):
        if (service, interface) not in present:
            call('POST', '/endpoints', {'endpoint': {
                'service_id': service, 'interface': interface, 'url': url,
                'region_id': REGION}})
