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

"""Names of a cloud's own objects, found as the user of a session.

Uses the session alone: the service catalog says where Nova and Neutron are.
"""

from keystoneauth1 import exceptions as ksa_exc

from protectorclient import exceptions

#: kind -> (service, path, key of the list, by which parameter to filter)
_WHERE = {
    'server': ('compute', '/servers', 'servers', 'name'),
    'flavor': ('compute', '/flavors', 'flavors', None),
    'network': ('network', '/v2.0/networks', 'networks', 'name'),
    'security_group': (
        'network', '/v2.0/security-groups', 'security_groups', 'name'),
}


def find(client, kind, ref):
    """The id of the one object that has this id or name."""
    service, path, key, by = _WHERE[kind]
    noun = kind.replace('_', ' ')
    params = {}
    if by == 'name' and kind == 'server':
        # Nova reads a regular expression.
        import re
        params['name'] = '^%s$' % re.escape(ref)
    elif by:
        params[by] = ref
    try:
        response = client.session.get(
            path, params=params, raise_exc=False,
            headers={'Accept': 'application/json'},
            endpoint_filter={'service_type': service,
                             'interface': client.interface,
                             'region_name': client.region_name})
    except ksa_exc.ClientException as exc:
        raise exceptions.Unreachable(
            "%s '%s' can't be looked up: %s"
            % (noun, ref, ' '.join(str(exc).split())))
    if response.status_code != 200:
        raise exceptions.ProtectorError(
            "%s '%s' can't be looked up: HTTP %s"
            % (noun, ref, response.status_code))
    try:
        rows = response.json()[key]
        found = [row['id'] for row in rows if row['id'] == ref]
        found = found or [
            row['id'] for row in rows if row.get('name') == ref]
    except (ValueError, KeyError, TypeError):
        raise exceptions.ProtectorError(
            "%s '%s' can't be looked up: strange answer" % (noun, ref))
    if not found:
        raise exceptions.NoSuch(
            "No %s with a name or ID of '%s' exists." % (noun, ref))
    if len(found) > 1:
        raise exceptions.NotUnique(
            "More than one %s exists with the name '%s'." % (noun, ref))
    return found[0]
