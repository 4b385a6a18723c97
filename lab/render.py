"""render.py TEMPLATES OUT KEY=VALUE... : writes every template with its @@KEY@@ replaced."""
import pathlib
import re
import sys

templates, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
values = dict(argument.split('=', 1) for argument in sys.argv[3:])
out.mkdir(parents=True, exist_ok=True)
for template in sorted(templates.iterdir()):
    text = re.sub(r'@@(\w+)@@', lambda m: values[m.group(1)], template.read_text())
    (out / template.name).write_text(text)
