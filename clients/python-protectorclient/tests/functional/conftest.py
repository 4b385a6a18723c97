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

import pytest

from tests.functional import world as worlds


@pytest.fixture(scope='session')
def world(tmp_path_factory):
    """Two sites that know each other; the tenant is mapped."""
    made = worlds.World(tmp_path_factory.mktemp('world'))
    yield made
    made.close()


@pytest.fixture(scope='module')
def regions(tmp_path_factory):
    """Two regions of one Keystone that don't know each other yet."""
    made = worlds.World(tmp_path_factory.mktemp('regions'),
                        '--unregistered', '--one-keystone')
    yield made
    made.close()


@pytest.fixture(scope='module')
def unhurried(tmp_path_factory):
    """Two sites that leave a lost one alone once it is taken over."""
    made = worlds.World(tmp_path_factory.mktemp('unhurried'),
                        OS_ENGINE__FENCING_INTERVAL_MS='60000')
    yield made
    made.close()


@pytest.fixture(scope='module')
def behind_tls(tmp_path_factory):
    """Two sites; site-b has an authority of its own."""
    made = worlds.World(tmp_path_factory.mktemp('tls'), '--tls-b')
    yield made
    made.close()


@pytest.fixture(scope='module')
def other_names(tmp_path_factory):
    """Two sites; the tenant is called otherwise at site-b."""
    made = worlds.World(tmp_path_factory.mktemp('names'), '--unregistered',
                        '--other-names')
    yield made
    made.close()


@pytest.fixture(scope='session')
def strangers(tmp_path_factory):
    """Two sites that don't know each other yet."""
    made = worlds.World(tmp_path_factory.mktemp('strangers'),
                        '--unregistered')
    yield made
    made.close()
