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

"""Servers by name, found as the user of a session.

Uses the session alone: the service catalog says where Nova is.
"""

import re

from keystoneauth1 import exceptions as ksa_exc

from protectorclient import exceptions


def find_server(client, name):
    """The id of the one server that has this name."""
    noun = "server '%s'" % name
    try:
        response = client.session.get(
            '/servers',
            # Nova reads a regular expression.
            params={'name': '^%s$' % re.escape(name)},
            raise_exc=False, headers={'Accept': 'application/json'},
            endpoint_filter={'service_type': 'compute',
                             'interface': client.interface,
                             'region_name': client.region_name})
    except ksa_exc.ClientException as exc:
        raise exceptions.Unreachable(
            "%s can't be looked up: %s" % (noun, ' '.join(str(exc).split())))
    if response.status_code != 200:
        raise exceptions.ProtectorError(
            "%s can't be looked up: HTTP %s" % (noun, response.status_code))
    try:
        found = [row['id'] for row in response.json()['servers']
                 if row.get('name') == name]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise exceptions.ProtectorError(
            "%s can't be looked up: strange answer" % noun)
    if not found:
        raise exceptions.NoSuch(
            "No server with a name or ID of '%s' exists." % name)
    if len(found) > 1:
        raise exceptions.NotUnique(
            "More than one server exists with the name '%s'." % name)
    return found[0]
