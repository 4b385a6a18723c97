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

"""Free-form reports that are still data under ``-f json``."""

import sys

from cliff.formatters import base

CHECK = u'\u2705'
TICK = u'\u2713'
CROSS = u'\u274c'
WARNING = u'\u26a0\ufe0f'

_PLAIN = {CHECK: '[OK]', TICK: 'ok', CROSS: '[!!]', WARNING: '[!]'}


def printable(text, stream):
    """The text with its marks, or with letters where they can't be shown."""
    encoding = getattr(stream, 'encoding', None) or 'utf-8'
    try:
        text.encode(encoding)
        return text
    except (UnicodeEncodeError, LookupError):
        for mark, plain in _PLAIN.items():
            text = text.replace(mark, plain)
        return text.encode('ascii', 'replace').decode('ascii')


class ReportFormatter(base.SingleFormatter):
    """Prints the text that the command left in its parsed arguments."""

    def add_argument_group(self, parser):
        pass

    def emit_one(self, column_names, data, stdout, parsed_args):
        text = getattr(parsed_args, 'report', None)
        if text is None:
            text = '\n'.join('%s: %s' % pair
                             for pair in zip(column_names, data))
        if text:
            stdout.write(printable(text, _stream(stdout)) + '\n')


def _stream(stdout):
    return stdout if getattr(stdout, 'encoding', None) else sys.stdout
