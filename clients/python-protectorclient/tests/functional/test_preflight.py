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


"""A look at what a failover would find, as a tenant types it."""

import json


def test_a_preflight_lists_what_stands_in_the_way(world):
    group = world.group()
    world.policy(group)
    server = world.boot('pre-web')
    world.show('site-a', 'protection-group', 'member-add', group,
               '--instance-id', server)
    words = ('protector', 'protection-group', 'preflight', group)
    ready = world.ok('site-a', *(words + ('-f', 'json')))
    assert 'nothing stands in the way' in ready.err, ready
    missing = world.openstack('site-a', *(
        words + ('--network-mapping', 'demo-net=nowhere', '-f', 'json')))
    assert missing.code == 1, missing
    found = [row for row in json.loads(missing.out)
             if row['Severity'] == 'blocker']
    assert [row['Check'] for row in found] == ['network'], found
    assert 'pre-web' == found[0]['Member']
    assert "no network 'nowhere'" in found[0]['Finding']
    assert '--network-mapping demo-net=' in found[0]['Remedy']
    # Nothing was begun by looking, and the alias looks as well.
    assert world.show('site-a', 'operation', 'list',
                      '--protection-group', group) == []
    world.ok('site-a', 'dr', 'preflight', group)
