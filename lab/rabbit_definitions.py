"""rabbit_definitions.py VHOST... : the broker's user and virtual hosts, as it loads them at its start."""
import base64
import hashlib
import json
import sys

salt = b'salt'
digest = base64.b64encode(salt + hashlib.sha256(salt + b'lab').digest()).decode()
vhosts = ['/'] + sys.argv[1:]
print(json.dumps({
    'users': [{'name': 'lab', 'password_hash': digest, 'tags': 'administrator',
               'hashing_algorithm': 'rabbit_password_hashing_sha256'}],
    'vhosts': [{'name': v} for v in vhosts],
    'permissions': [{'user': 'lab', 'vhost': v, 'configure': '.*',
                     'write': '.*', 'read': '.*'} for v in vhosts],
}))
