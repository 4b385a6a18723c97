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

"""The bare commands ``openstack protector`` and ``openstack dr``.

They live in a command group of their own, which is left out while bash
completion is computed: cliff's completion tree can't hold a leaf that is also
a branch.
"""

import sys

API_NAME = 'protector_root'
API_VERSION_OPTION = 'os_protector_root_api_version'
DEFAULT_API_VERSION = '0' if 'complete' in sys.argv[1:] else '1'
API_VERSIONS = {'0': None, '1': None}

WORDS = ('protector', 'dr')


def make_client(instance):
    return None


def build_option_parser(parser):
    return parser


def teach_version(parser):
    """Let ``openstack protector --version`` tell about protector.

    The root parser's own action would end the program with OpenStackClient's
    version before any command is looked up. Private attributes of argparse
    are used; where they are missing, that is what still happens.
    """
    try:
        action = parser._option_string_actions['--version']
        base = type(action)
        if getattr(base, 'of_protector', False):
            return

        class Version(base):
            of_protector = True

            def __call__(self, parser, namespace, values,
                         option_string=None):
                if asks_protector(sys.argv[1:]):
                    namespace.protector_version = True
                    return None
                return super(Version, self).__call__(
                    parser, namespace, values, option_string)

        action.__class__ = Version
    except (AttributeError, KeyError, TypeError):
        pass


def asks_protector(words):
    """Is the first word that is a command's one of ours?"""
    return any(word in WORDS for word in words if not word.startswith('-'))
