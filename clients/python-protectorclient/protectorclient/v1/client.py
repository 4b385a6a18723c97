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

"""One site's protector API.

The catalog's endpoint ends in ``/v1/<project id>``; calls of administrators
live beside it under ``/v1/admin``.
"""

import re

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ksa_exc

from protectorclient import exceptions

#: microversions that this client understands
MIN_VERSION = (1, 0)
MAX_VERSION = (1, 1)

HEADER = 'OpenStack-API-Version'
STATEMENT = 'X-Protector-Statement'
DELETED = 'X-Protector-Deleted'

UUID = re.compile(r'^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$', re.I)

_FAULTS = {
    401: exceptions.Unauthorized,
    403: exceptions.Forbidden,
    404: exceptions.NotFound,
    409: exceptions.Conflict,
}


def is_uuid(value):
    return bool(UUID.match(value or ''))


def parse_version(text):
    try:
        major, minor = str(text).split('.')
        return int(major), int(minor)
    except ValueError:
        raise exceptions.ProtectorError(
            "'%s' is not a version of the protector API" % text)


def format_version(version):
    return '%d.%d' % version


def root_of(endpoint):
    """Cut a catalog endpoint to what stands before ``/v1``."""
    match = re.match(r'^(.*?)/v1(/[^/]*)?/?$', endpoint)
    return match.group(1) if match else endpoint.rstrip('/')


def fault(response):
    """The exception that tells what a failing answer said."""
    message, extra = None, {}
    try:
        body = response.json()
    except ValueError:
        body = None
    if isinstance(body, dict):
        inner = next((v for v in body.values() if isinstance(v, dict)), body)
        message = inner.get('message')
        extra = dict(body, **inner)
    if not isinstance(message, str) or not message:
        message = response.reason or 'no explanation given'
    request_id = response.headers.get('x-openstack-request-id')
    code = response.status_code
    return _FAULTS.get(code, exceptions.HttpError)(
        code, message, extra, request_id)


class Client(adapter.Adapter):
    """Calls of one protector API, as the user of one session."""

    def __init__(self, session, region_name=None, interface=None,
                 api_version=None, endpoint_override=None, timeout=None,
                 **kwargs):
        super(Client, self).__init__(
            session=session, service_type='protector',
            region_name=region_name, interface=interface or 'public',
            endpoint_override=endpoint_override, **kwargs)
        self._wanted = api_version
        self._timeout = timeout
        self._version = None
        self._document = None
        self._endpoint = None

    # -- where and how -----------------------------------------------------

    def project_endpoint(self):
        if self._endpoint is None:
            endpoint = self._speak(self.get_endpoint)
            if not endpoint:
                raise exceptions.Unreachable(
                    "the catalog has no endpoint of service type "
                    "'protector'" + (' in region %s' % self.region_name
                                     if self.region_name else ''))
            endpoint = endpoint.rstrip('/')
            if re.search(r'/v1$', endpoint):
                endpoint += '/' + self._speak(self.get_project_id)
            elif '/v1/' not in endpoint:
                endpoint += '/v1/' + self._speak(self.get_project_id)
            self._endpoint = endpoint
        return self._endpoint

    def root(self):
        return root_of(self.project_endpoint())

    def _speak(self, call, *args, **kwargs):
        """Make a call; say in our own terms why nobody answered."""
        try:
            return call(*args, **kwargs)
        except (ksa_exc.ConnectionError, ksa_exc.DiscoveryFailure,
                ksa_exc.EndpointNotFound) as exc:
            raise _silence(_one_line(exc))
        except (ksa_exc.ServiceUnavailable, ksa_exc.BadGateway,
                ksa_exc.GatewayTimeout) as exc:
            raise exceptions.Unreachable(_one_line(exc))

    def version_document(self):
        """``GET /``: versions and identity of the site; needs no token."""
        if self._document is None:
            response = self._speak(
                self.session.request, self.root() + '/', 'GET',
                authenticated=False, raise_exc=False, redirect=False,
                **self._limits())
            if response.status_code not in (200, 300):
                raise exceptions.Unreachable(
                    '%s/ answered HTTP %s' % (
                        self.root(), response.status_code))
            try:
                document = response.json()
                if not isinstance(document['versions'], list):
                    raise ValueError('versions')
            except (ValueError, KeyError, TypeError):
                raise exceptions.Unreachable(
                    '%s/ is not a protector API' % self.root())
            self._document = document
        return self._document

    def site(self):
        """Who this site is: ``{'id', 'public_key', 'region_name'}``."""
        return self.version_document().get('site') or {}

    def versions(self):
        """Smallest and greatest microversion of the server."""
        for row in self.version_document()['versions']:
            if str(row.get('id', '')).startswith('v1'):
                return (parse_version(row.get('min_version') or '1.0'),
                        parse_version(row.get('version') or '1.0'))
        raise exceptions.ProtectorError(
            '%s does not offer version 1 of the protector API' % self.root())

    def api_version(self):
        """The microversion to ask for.

        A concrete wish is sent as it is (the server answers 406 to one that
        it lacks); the bare major version takes the newest that both know.
        """
        if self._version is None:
            wanted = str(self._wanted or '1').lstrip('v')
            if '.' in wanted and wanted != '1.latest':
                self._version = format_version(parse_version(wanted))
            else:
                low, high = self.versions()
                if low > MAX_VERSION or high < MIN_VERSION:
                    raise exceptions.ProtectorError(
                        'The server speaks protector API %s to %s, this '
                        'client %s to %s.' % (
                            format_version(low), format_version(high),
                            format_version(MIN_VERSION),
                            format_version(MAX_VERSION)))
                self._version = format_version(min(high, MAX_VERSION))
        return self._version

    def _limits(self):
        return {} if self._timeout is None else {'timeout': self._timeout}

    def call(self, method, path, body=None, headers=None, params=None,
             admin=False, secret=False, ok=(200, 201, 202, 204)):
        """One request; the decoded answer, or the API's fault."""
        base = self.root() + '/v1' if admin else self.project_endpoint()
        kwargs = dict(self._limits())
        if body is not None:
            kwargs['json'] = body
        if params:
            kwargs['params'] = {
                k: v for k, v in params.items() if v is not None}
        if secret:
            kwargs['log'] = False
        sent = {HEADER: 'protector ' + self.api_version(),
                'Accept': 'application/json'}
        sent.update(headers or {})
        response = self._speak(
            self.session.request, base + path, method, headers=sent,
            auth=self.auth, raise_exc=False, redirect=False,
            endpoint_filter={'service_type': 'protector',
                             'interface': self.interface,
                             'region_name': self.region_name},
            user_agent='python-protectorclient', **kwargs)
        if response.status_code in ok:
            if response.status_code == 204 or not response.content:
                return None
            try:
                return response.json()
            except ValueError:
                raise exceptions.ProtectorError(
                    '%s %s was answered with something that is not JSON'
                    % (method, path))
        if response.status_code in (502, 504):
            raise exceptions.Unreachable(str(fault(response)))
        raise fault(response)

    def list(self, path, key, params=None, admin=False, limit=None):
        """All rows of a collection; pages are followed."""
        params = {k: v for k, v in (params or {}).items() if v is not None}
        if limit is not None:
            params['limit'] = limit
        rows = []
        while True:
            body = self.call('GET', path, params=params, admin=admin)
            page = body.get(key) or []
            rows.extend(page)
            links = body.get(key + '_links') or []
            more = any(link.get('rel') == 'next' for link in links)
            if limit is not None and len(rows) >= limit:
                return rows[:limit]
            if not more or not page:
                return rows
            params['marker'] = page[-1]['id']

    # -- sites -------------------------------------------------------------

    def sites(self):
        return self.list('/sites', 'sites')

    def find_site(self, name_or_id):
        rows = self.sites()
        found = [row for row in rows if row.get('id') == name_or_id]
        found = found or [
            row for row in rows if row.get('name') == name_or_id]
        return _one(found, 'site', name_or_id)

    def site_show(self, site_id):
        return self.call('GET', '/admin/sites/' + site_id,
                         admin=True)['site']

    def site_create(self, row, secret=False):
        return self.call('POST', '/admin/sites', {'site': row}, admin=True,
                         secret=secret)['site']

    def site_update(self, site_id, changes, secret=False):
        return self.call('PATCH', '/admin/sites/' + site_id,
                         {'site': changes}, admin=True,
                         secret=secret)['site']

    def site_delete(self, site_id):
        self.call('DELETE', '/admin/sites/' + site_id, admin=True)

    def site_validate(self, site_id):
        return self.call('POST', '/admin/sites/%s/validate' % site_id,
                         admin=True)

    def site_volume_types(self, site_id):
        return self.list('/admin/sites/%s/volume-types' % site_id,
                         'volume_types', admin=True)

    # -- tenant mappings ---------------------------------------------------

    def tenant_mappings(self):
        return self.list('/tenant-mappings', 'tenant_mappings')

    def tenant_mapping(self, mapping_id):
        return self.call(
            'GET', '/tenant-mappings/' + _id('tenant mapping', mapping_id)
        )['tenant_mapping']

    def tenant_mapping_create(self, row):
        return self.call('POST', '/tenant-mappings',
                         {'tenant_mapping': row})['tenant_mapping']

    def tenant_mapping_delete(self, mapping_id):
        self.call('DELETE', '/tenant-mappings/' + _id('tenant mapping',
                                                      mapping_id))

    # -- groups ------------------------------------------------------------

    def groups(self, **filters):
        return self.list('/protection-groups', 'protection_groups', filters,
                         limit=filters.pop('limit', None))

    def group(self, group_id):
        return self.call(
            'GET', '/protection-groups/' + group_id)['protection_group']

    def find_group(self, name_or_id):
        if is_uuid(name_or_id):
            try:
                return self.group(name_or_id)
            except exceptions.NotFound:
                pass
        rows = [row for row in self.groups(name=name_or_id)
                if row.get('name') == name_or_id]
        return _one(rows, 'protection group', name_or_id)

    def group_create(self, row, headers):
        return self.call('POST', '/protection-groups',
                         {'protection_group': row},
                         headers)['protection_group']

    def group_update(self, group_id, changes, headers):
        return self.call('PATCH', '/protection-groups/' + group_id,
                         {'protection_group': changes},
                         headers)['protection_group']

    def group_delete(self, group_id, headers):
        """Returns the tombstone that the peer needs."""
        body = self.call('DELETE', '/protection-groups/' + group_id,
                         headers=headers)
        return (body or {}).get('tombstone')

    def members(self, group_id):
        return self.list('/protection-groups/%s/members' % group_id,
                         'members')

    def member(self, group_id, member_id):
        return self.call('GET', '/protection-groups/%s/members/%s' % (
            group_id, member_id))['member']

    def find_member(self, group_id, ref):
        """A member by its id, its server's id or its server's name."""
        rows = self.members(group_id)
        for key in ('id', 'instance_id', 'instance_name'):
            found = [row for row in rows if row.get(key) == ref]
            if found:
                return _one(found, 'member', ref)
        return _one([], 'member', ref)

    def member_add(self, group_id, instance_id, headers):
        return self.call('POST', '/protection-groups/%s/members' % group_id,
                         {'member': {'instance_id': instance_id}},
                         headers)['member']

    def member_remove(self, group_id, member_id, headers):
        return self.call('DELETE', '/protection-groups/%s/members/%s' % (
            group_id, member_id), headers=headers)

    def policy(self, group_id):
        return self.call(
            'GET', '/protection-groups/%s/policy' % group_id)['policy']

    def policy_create(self, group_id, policy, headers):
        return self.call('POST', '/protection-groups/%s/policy' % group_id,
                         {'policy': policy}, headers,
                         secret=True)['policy']

    def mappings(self, group_id):
        return self.call(
            'GET', '/protection-groups/%s/mappings' % group_id)['mappings']

    def mappings_update(self, group_id, mappings, headers):
        return self.call('PUT', '/protection-groups/%s/mappings' % group_id,
                         {'mappings': mappings}, headers)['mappings']

    def consistency_group(self, group_id):
        return self.call(
            'GET', '/protection-groups/%s/consistency-group' % group_id
        )['consistency_group']

    def action(self, group_id, name, options, headers):
        return self.call('POST', '/protection-groups/%s/action' % group_id,
                         {name: options}, headers)['operation']

    def preflight(self, group_id, options):
        return self.call(
            'POST', '/protection-groups/%s/preflight' % group_id,
            {'preflight': options})['preflight']

    # -- metadata ----------------------------------------------------------

    def sync(self, group_id):
        return self.call(
            'GET', '/protection-groups/%s/sync' % group_id)['sync']

    def _sync_post(self, group_id, key, value):
        body = self.call('POST', '/protection-groups/%s/sync' % group_id,
                         {key: value})
        return body or {}

    def sync_nonce(self, group_id):
        return self._sync_post(group_id, 'nonce', {})['nonce']

    def sync_statement(self, group_id, nonce):
        return self._sync_post(group_id, 'statement',
                               {'nonce': nonce})['statement']

    def sync_receipt(self, group_id, receipt):
        return self._sync_post(group_id, 'receipt', receipt).get('sync')

    def sync_failed(self, group_id, reason):
        self._sync_post(group_id, 'failed', {'reason': reason})

    def sync_reapplied(self, group_id, epoch, version):
        """Note that what a lost edit changed is in the group again."""
        self._sync_post(group_id, 'reapplied',
                        {'epoch': epoch, 'version': version})

    def sync_log(self, group_id, limit=None, event=None):
        body = self.call('GET', '/protection-groups/%s/sync-log' % group_id,
                         params={'limit': limit, 'event': event})
        return body.get('sync_log') or []

    def metadata(self, group_id):
        return self.call(
            'GET', '/protection-groups/%s/metadata' % group_id)['bundle']

    def metadata_put(self, group_id, bundle):
        return self.call('PUT', '/protection-groups/%s/metadata' % group_id,
                         {'bundle': bundle})['receipt']

    def peer_delete(self, group_id, tombstone):
        """Tell the peer that the primary has deleted a group."""
        return self.call('DELETE', '/protection-groups/' + group_id,
                         headers={DELETED: tombstone})

    # -- operations --------------------------------------------------------

    def operations(self, limit=None, **filters):
        return self.list('/operations', 'operations', filters, limit=limit)

    def operation(self, operation_id):
        return self.call('GET', '/operations/' + _id(
            'operation', operation_id))['operation']

    def operation_action(self, operation_id, name, options=None):
        return self.call('POST', '/operations/%s/action' % _id(
            'operation', operation_id), {name: options or {}})['operation']


def _id(noun, typed):
    """An id as it was typed: in a URL it must not lead anywhere else."""
    if not re.match(r'^[0-9A-Za-z_-]{1,64}$', typed):
        raise exceptions.NoSuch(
            "No %s with the ID '%s' exists." % (noun, typed))
    return typed


def _one(rows, noun, ref):
    if not rows:
        raise exceptions.NoSuch(
            "No %s with a name or ID of '%s' exists." % (noun, ref))
    if len(rows) > 1:
        raise exceptions.NotUnique(
            "More than one %s exists with the name '%s'." % (noun, ref))
    return rows[0]


def _one_line(exc):
    return ' '.join(str(exc).split())


def _silence(text):
    """Nobody answered, or nobody was asked as his certificate is not known."""
    refused = re.search(r'certificate verify failed: ([^\'"]+)', text, re.I)
    if not refused:
        return exceptions.Unreachable(text)
    host = re.search(r'https://([^/\s:]+(:\d+)?)', text)
    reason = re.sub(r'\s*\(_ssl\.c:\d+\)', '', refused.group(1)).strip()
    return exceptions.Untrusted(
        'The certificate of %s is not accepted: %s.' % (
            host.group(1) if host else 'the site', reason.rstrip('.')))
