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

"""Tables for a display that is narrower than they are.

cliff fits a table to a terminal. Under `watch` there is none: only COLUMNS
says how wide the display is, and what is wider gets broken anywhere, borders
included.
"""

import os
import re

from cliff.formatters import table as tables

_TIME = re.compile(r'^(\d{4}-\d\d-\d\d)(T\d\d:\d\d.*)$')
#: what a line may end with
_PIECE = re.compile(r'[^-_,:{}\[\]\s]*[-_,:{}\[\]\s]?')


def display_width(environ=None):
    """What COLUMNS says, or 0."""
    text = (environ or os.environ).get('COLUMNS', '')
    return int(text) if text.isdigit() else 0


def broken(cell, width):
    """The text of a cell in lines that are no wider."""
    time = _TIME.match(cell)
    if time and len(cell) > width >= len(time.group(1)):
        return '\n'.join(time.groups())
    return '\n'.join(_broken(line, width) for line in cell.split('\n'))


def _broken(line, width):
    if len(line) <= width:
        return line
    lines = ['']
    for piece in _PIECE.findall(line):
        if len(lines[-1]) + len(piece.rstrip()) > width and lines[-1]:
            lines.append('')
        while len(piece.rstrip()) > width:
            lines[-1] = piece[:width]
            piece = piece[width:]
            lines.append('')
        lines[-1] += piece
    return '\n'.join(text.rstrip() for text in lines if text.strip())


def widths(natural, least, room):
    """Columns that fit into the room, the widest cut first."""
    found = list(natural)
    while sum(found) > room:
        able = [index for index, width in enumerate(found)
                if width > least[index]]
        if not able:
            break
        widest = max(able, key=lambda index: found[index])
        found[widest] -= 1
    return found


class FittingTable(tables.TableFormatter):
    """cliff's table, broken inside of its cells where COLUMNS asks for it."""

    @staticmethod
    def _assign_max_widths(table, max_width, min_width=0, fit_width=False):
        width = max_width if max_width > 0 else display_width()
        if width <= 0:
            tables.TableFormatter._assign_max_widths(
                table, max_width, min_width, fit_width)
            return
        names = list(table.field_names)
        rows = [[cell if isinstance(cell, str) else str(cell)
                 for cell in row] for row in table.rows]
        natural = [
            max([len(name)] + [len(line) for row in rows
                               for line in row[index].split('\n')])
            for index, name in enumerate(names)]
        room = width - 3 * len(names) - 1
        if sum(natural) <= room:
            return
        # Headings stay whole, and so does what names the fields.
        least = [max(len(name), 4) for name in names]
        if names[:1] == ['Field']:
            least[0] = natural[0]
        fitted = widths(natural, least, room)
        table.clear_rows()
        for row in rows:
            table.add_row([broken(cell, fitted[index])
                           for index, cell in enumerate(row)])
