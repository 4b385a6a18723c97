#!/usr/bin/env python3
"""Compares this crate with oslo.policy and oslo.config on random input.

    python3 -m venv .run/oslo && .run/oslo/bin/pip install oslo.policy oslo.config
    cargo build -p protector-oslo --example differential
    .run/oslo/bin/python crates/oslo/checks/differential.py target/debug/examples/differential [rounds] [seed]

A question on which the original raises an unforeseen exception is passed over for policies (a service would answer
500 there, and this crate denies) and must be an error for files.
"""

import json
import logging
import os
import random
import subprocess
import sys
import tempfile

from oslo_config import cfg, iniparser
from oslo_policy import _checks, _parser
from oslo_policy import policy

logging.disable(logging.CRITICAL)

WORDS = ['and', 'or', 'not', 'AND', 'Or', '(', ')', '((', '))', '@', '!', 'role:admin', 'role:Member', 'rule:other',
         'rule:none', 'project_id:%(project_id)s', 'user.id:%(user.id)s', "'p1':%(project_id)s", 'True:%(flag)s',
         'groups.id:g2', 'is_admin:True', 'None:None', "'quoted'", '"q"', 'bare', '(role:admin', 'role:member)',
         '1:1', 'a:%(missing)s', 'a:50%%', 'role:%(role)s', 'x.y.z:1', 'user.id:u1', '(@)', ')(', '"a b"', ':', 'a:']
TARGET = {'project_id': 'p1', 'user': {'id': 'u1'}, 'flag': True, 'role': 'MEMBER', 'n': 1}
CREDS = [{'roles': ['Member'], 'project_id': 'p1', 'user': {'id': 'u1'}, 'is_admin': False,
          'groups': [{'id': 'g1'}, {'id': 'g2'}], 'a': '50%'},
         {'roles': ['ADMIN'], 'project_id': 'p2', 'user': {'id': 'u2'}, 'is_admin': True, 'groups': []},
         {}]


def flat(value, prefix=''):
    out = {}
    for key, inner in value.items():
        out[prefix + key] = inner
        if isinstance(inner, dict):
            out.update(flat(inner, prefix + key + '.'))
    return out


def policy_question(rnd):
    def text():
        return rnd.choice([' ', ' ', '  ', '\t']).join(rnd.choice(WORDS) for _ in range(rnd.randint(0, 9)))

    def sane():
        depth = rnd.randint(0, 3)

        def make(level):
            pick = rnd.random()
            if level == 0 or pick < 0.3:
                return rnd.choice([w for w in WORDS if ':' in w and '(r' not in w and not w.endswith(':') and w != ':'
                                   and w != 'role:member)'])
            if pick < 0.5:
                return 'not (' + make(level - 1) + ')'
            word = rnd.choice([' and ', ' or '])
            joined = word.join(make(level - 1) for _ in range(rnd.randint(2, 4)))
            return '(' + joined + ')' if rnd.random() < 0.6 else joined
        return make(depth)

    def listed():
        return [rnd.choice([[], rnd.choice(WORDS), [rnd.choice(WORDS) for _ in range(rnd.randint(1, 3))]])
                for _ in range(rnd.randint(0, 3))]

    rules = {'it': rnd.choice([text, sane, sane, listed])(), 'other': rnd.choice(['role:member', '!', '@', ''])}
    if rnd.random() < 0.5:
        rules['default'] = rnd.choice(['@', '!', 'role:admin'])
    return {'kind': 'policy', 'rules': rules, 'target': TARGET, 'creds': rnd.choice(CREDS)}


class FakeEnforcer:
    def __init__(self, rules):
        self.rules = policy.Rules({k: _parser.parse_rule(v) for k, v in rules.items()}, 'default')


def policy_answer(question):
    enforcer = FakeEnforcer(question['rules'])
    check = enforcer.rules['it']
    try:
        allowed = bool(_checks._check(check, flat(question['target']), dict(question['creds']), enforcer, 'it'))
    except Exception:
        return None
    return {'shown': str(check), 'allowed': allowed}


PIECES = ['[g]', '[DEFAULT]', '[g', '[]', ' [x]', '# c', '; c', '', '  ', ' cont', '\tcont', 'b', '= 1', ': 1', 'x = 1']
VALUES = ['', 'a', '"q"', "'q'", "'", '"', "'a\"", ' a b ', 'a#b', 'a;b', 'a=b:c', '1', '0', '-5', '+5', '1.5', 'yes',
          'No', 'tRue', 'maybe', 'a,b', 'a,,b,', ',', 'k:v', 'k:v,l:w', 'k:v,l', 'k:v,k:w', 'k:v:w', ':v', '$x', '${x}',
          '$$x', '\\$x', '$', '$1', '${', '$x$x', '70000', '$i', 'é', '\\x41', 'k', '[a]', '${g.s}', 'a$']


def ini_question(rnd):
    lines = []
    if rnd.random() < 0.9:
        lines.append('[g]')
    for _ in range(rnd.randint(0, 7)):
        if rnd.random() < 0.35:
            lines.append(rnd.choice(PIECES))
        else:
            lines.append(rnd.choice('sbifplmdx') + rnd.choice(['=', ' = ', ':', ' : ']) + rnd.choice(VALUES))
    return {'kind': 'ini', 'text': rnd.choice(['\n', '\n', '\r\n']).join(lines)}


class Collect(iniparser.BaseParser):
    def __init__(self):
        self.found, self.section = [], None

    def assignment(self, key, value):
        if self.section is None:
            raise iniparser.ParseError('no section', self.lineno, '')
        self.found.append([self.section, key, '\n'.join(value)])

    def new_section(self, section):
        self.section = section


def ini_answer(question):
    parser = Collect()
    try:
        parser.parse(question['text'].split('\n'))
    except iniparser.ParseError:
        return 'error'
    return parser.found


def config_question(rnd):
    # Not asked: ${DEFAULT.x}, which the original refuses and this crate understands.
    lines = ['[DEFAULT]'] + (['x = ' + rnd.choice(VALUES)] if rnd.random() < 0.3 else []) + ['[g]']
    for name in rnd.sample('sbifplmdm', rnd.randint(1, 3)):
        lines.append(name + ' = ' + rnd.choice(VALUES))
    return {'kind': 'config', 'text': '\n'.join(lines)}


def config_answer(question):
    conf = cfg.ConfigOpts()
    conf.register_opts([cfg.StrOpt('s'), cfg.BoolOpt('b'), cfg.IntOpt('i'), cfg.FloatOpt('f'), cfg.PortOpt('p'),
                        cfg.ListOpt('l'), cfg.MultiStrOpt('m'), cfg.DictOpt('d')], group='g')
    conf.register_opt(cfg.StrOpt('x', default='dx'))
    with tempfile.NamedTemporaryFile('w', suffix='.conf') as file:
        file.write(question['text'])
        file.flush()
        try:
            conf(['--config-file', file.name], project='x', use_env=False)
            answer = {name: getattr(conf.g, name) for name in 'sbifplmd'}
            answer['x'] = conf.x
        except Exception as error:
            return 'error'
    return answer


KINDS = {'policy': (policy_question, policy_answer), 'ini': (ini_question, ini_answer),
         'config': (config_question, config_answer)}


def main():
    binary = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 20000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else int.from_bytes(os.urandom(4), 'big')
    rnd = random.Random(seed)
    questions = []
    for kind, (make, _) in KINDS.items():
        questions += [make(rnd) for _ in range(rounds if kind != 'config' else rounds // 10)]
    lines = ''.join(json.dumps(q) + '\n' for q in questions)
    done = subprocess.run([binary], input=lines, capture_output=True, text=True, check=True)
    differing = passed_over = 0
    for question, line in zip(questions, done.stdout.splitlines(), strict=True):
        ours, theirs = json.loads(line), KINDS[question['kind']][1](question)
        if theirs is None:
            passed_over += 1
        elif ours != theirs:
            differing += 1
            if differing <= 20:
                print('question', json.dumps(question), '\n  ours  ', ours, '\n  theirs', theirs)
    print(f'seed {seed}: {len(questions)} questions, {passed_over} passed over, {differing} differ')
    return 1 if differing else 0


if __name__ == '__main__':
    sys.exit(main())
