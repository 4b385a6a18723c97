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

"""Tables on a narrow display."""

import unittest

from protectorclient.osc import fitting


class TestFitting(unittest.TestCase):
    def test_a_line_ends_where_it_may(self):
        uuid = '0a1b2c3d-4e5f-6789-abcd-ef0123456789'
        for text, width in ((uuid, 14), (uuid, 4), ('test_failover', 8),
                            ('{"a": [{"name": "web", "id": 1}]}', 9),
                            ('word ' * 20, 12), ('', 5)):
            lines = fitting.broken(text, width).split('\n')
            self.assertTrue(all(len(line) <= width for line in lines), lines)
            self.assertEqual(text.replace(' ', ''),
                             ''.join(lines).replace(' ', ''))
        self.assertEqual('2025-11-02\nT09:14:02',
                         fitting.broken('2025-11-02T09:14:02', 10))

    def test_the_widest_is_cut_first_and_headings_are_not(self):
        self.assertEqual([10, 16, 8],
                         fitting.widths([36, 16, 8], [4, 16, 8], 34))
        self.assertEqual([4, 16, 8],
                         fitting.widths([36, 16, 8], [4, 16, 8], 1))

    def test_the_width_is_what_columns_says(self):
        for told, width in (('80', 80), ('', 0), ('wide', 0)):
            self.assertEqual(width, fitting.display_width({'COLUMNS': told}))
