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

"""Which entry of clouds.yaml leads to which site."""

import unittest

from protectorclient import exceptions
from protectorclient import peers

SITE = {'name': 'site-b', 'auth_url': 'https://b.example:5000/v3',
        'region_name': 'RegionOne'}


def cloud(name, url='https://b.example:5000', region='RegionOne',
          username='demo', project='demo', site=None):
    return peers.Cloud(name, url, region, username, project, site)


CURRENT = cloud('site-a', 'https://a.example:5000')


class TestChoose(unittest.TestCase):
    def choose(self, *rows, **kwargs):
        kwargs.setdefault('current', CURRENT)
        kwargs.setdefault('local_name', 'site-a')
        return peers.choose(
            [CURRENT] + list(rows), kwargs.pop('site', SITE), **kwargs)

    def test_same_name(self):
        self.assertEqual('site-b', self.choose(cloud('site-b')))

    def test_name_though_the_url_differs(self):
        self.assertEqual('site-b', self.choose(
            cloud('site-b', 'https://vpn.example')))

    def test_auth_url(self):
        self.assertEqual('west', self.choose(cloud('west')))

    def test_explicit(self):
        self.assertEqual('other', self.choose(
            cloud('site-b'), cloud('other', 'http://x'), explicit='other'))

    def test_explicit_unknown(self):
        with self.assertRaisesRegex(exceptions.NoPeerCloud, 'no entry'):
            self.choose(explicit='other')

    def test_extra_key(self):
        self.assertEqual('x', self.choose(
            cloud('site-b'), cloud('x', 'http://x', site='site-b')))

    def test_region(self):
        self.assertEqual('two', self.choose(
            cloud('one', region='RegionOne'),
            cloud('two', region='RegionTwo'),
            site=dict(SITE, region_name='RegionTwo')))

    def test_two_regions_of_one_keystone(self):
        here = cloud('here', region='RegionOne')
        there = cloud('there', region='RegionTwo')
        self.assertEqual('there', peers.choose(
            [here, there], dict(SITE, region_name='RegionTwo'), here, 'r1'))

    def test_tenant_beside_admin(self):
        rows = (cloud('site-b', username='admin', project='admin'),
                cloud('tenant-b'))
        self.assertEqual('tenant-b', self.choose(*rows))
        admin = cloud('site-a', 'https://a.example:5000',
                      username='admin', project='admin')
        self.assertEqual('site-b', self.choose(*rows, current=admin))

    def test_analogous_name(self):
        current = cloud('site-a-tenant', 'https://a.example:5000',
                        username='alice', project='web')
        self.assertEqual('site-b-tenant', self.choose(
            cloud('site-b', username='admin', project='admin'),
            cloud('site-b-tenant', username='bob', project='www'),
            current=current))

    def test_same_kind_of_user(self):
        current = cloud('envvars', 'https://a.example:5000',
                        username='alice', project='web')
        self.assertEqual('west', self.choose(
            cloud('root', username='admin', project='admin'),
            cloud('west', username='bob', project='www'), current=current))

    def test_several(self):
        with self.assertRaisesRegex(
                exceptions.NoPeerCloud, r'\(x, y\).*--peer-os-cloud'):
            self.choose(cloud('y'), cloud('x'))

    def test_none(self):
        with self.assertRaisesRegex(
                exceptions.NoPeerCloud, 'https://b.example:5000/v3'):
            self.choose()

    def test_normalise(self):
        same = {peers.normalise(url) for url in (
            'https://B.example/v3', 'https://b.example:443',
            'https://b.example/v3/', 'HTTPS://b.example')}
        self.assertEqual(1, len(same))
        self.assertNotEqual(
            peers.normalise('https://b/identity/v3'),
            peers.normalise('https://b/v3'))
