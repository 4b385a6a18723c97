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

"""OpenStackClient's way into this package.

Imported by every ``openstack`` command, so nothing heavy at module level.
"""

from osc_lib import utils

API_NAME = 'protector'
API_VERSION_OPTION = 'os_protector_api_version'
DEFAULT_API_VERSION = '1'
# A dict: old releases of OpenStackClient call keys() on it, and new ones
# refuse a list.
API_VERSIONS = {
    '1': 'protectorclient.v1.client.Client',
    '1.0': 'protectorclient.v1.client.Client',
    '1.1': 'protectorclient.v1.client.Client',
}


def make_client(instance):
    """The client of the site that was addressed."""
    from protectorclient.v1 import client

    return client.Client(
        session=instance.session,
        region_name=instance.region_name or None,
        interface=instance.interface or None,
        api_version=instance._api_version[API_NAME])


def build_option_parser(parser):
    # An empty default lets clouds.yaml's protector_api_version count.
    parser.add_argument(
        '--os-protector-api-version',
        metavar='<protector-api-version>',
        default=utils.env('OS_PROTECTOR_API_VERSION'),
        help='Protector API version, default: the newest that both sides '
             'know (Env: OS_PROTECTOR_API_VERSION)')
    parser.add_argument(
        '--os-protector-peer-cloud', '--peer-os-cloud', '--secondary-cloud',
        metavar='<cloud>',
        dest='os_protector_peer_cloud',
        default=utils.env('OS_PROTECTOR_PEER_CLOUD', 'OS_SECONDARY_CLOUD'),
        help='clouds.yaml entry that signs in to the other site (Env: '
             'OS_PROTECTOR_PEER_CLOUD or OS_SECONDARY_CLOUD)')
    from protectorclient.osc import root_plugin
    root_plugin.teach_version(parser)
    return parser
