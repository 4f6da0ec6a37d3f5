import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  DURATIONS,
  LIMITS,
  MAX_OUTPUT_BYTES_DEFAULT,
  MAX_RESUMES_DEFAULT,
  OUTCOME_REASONS,
  OUTCOME_STATUSES,
  WIRE_ERRORS,
} from '@outrigger/protocol';
import { SDK_ERRORS } from '@outrigger/sdk';
import { fakeClaudePath } from '@outrigger/sdk/testing';
import { helpText, readOptions } from '@outrigger/sidecar';
import { type Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { EXIT_CODES } from '../packages/sdk/src/cli/exit-codes.js';
import { makeProgram } from '../packages/sdk/src/cli/program.js';
import { openTerminal } from '../packages/sdk/src/cli/terminal.js';
import {
  anchorsOf,
  filesIn,
  headingsOf,
  linksOf,
  PAGES,
  proseOf,
  read,
  ROOT,
  rowsOf,
  sectionOf,
  valueOf,
} from './support/pages.js';

const COMMAND_LINE = makeProgram(
  { terminal: openTerminal(process, {}), env: {}, stdin: process.stdin, stopping: new AbortController().signal },
  { code: 0 },
  '',
);

function longFlagsOf({ options, commands }: Command): string[] {
  return [...options.flatMap(({ long }) => long ?? []), ...commands.flatMap((command) => longFlagsOf(command))];
}

const yesOrNo = (value: boolean) => (value ? 'yes' : 'no');

describe('every page', () => {
  it.each(PAGES)('%s links to files and headings that exist', (path) => {
    const broken = linksOf(read(path)).filter((link) => {
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? path : join(dirname(path), file);
      if (!existsSync(join(ROOT, target))) return true;
      return anchor !== undefined && !anchorsOf(read(target)).includes(anchor);
    });
    expect(broken).toEqual([]);
  });

  it('is in the index, if it is one of the documents', () => {
    const linked = linksOf(read('docs/README.md')).map((link) => join('docs', link));
    const own = PAGES.filter((path) => path.startsWith('docs/') && path !== 'docs/README.md');
    expect(own.length).toBeGreaterThan(20);
    expect(own.filter((path) => !linked.includes(path))).toEqual([]);
  });

  it('names no flag that neither the sidecar has nor another program that is named here', () => {
    const own = [...helpText().matchAll(/--[a-z][a-z-]*/g)].map(([flag]) => flag);
    const written = PAGES.flatMap((path) => read(path).match(/(?<![\w-])--[A-Za-z][A-Za-z-]*\w/g) ?? []);
    const others = Object.values(FLAGS_OF_OTHERS).flat();
    expect([...new Set(written)].filter((flag) => !own.includes(flag) && !others.includes(flag))).toEqual([]);
  });

  it('names no variable that nothing reads', () => {
    const options = [...helpText().matchAll(/--([a-z][a-z-]*)/g)].map(([, name = '']) => name);
    const ofOptions = options.map((name) => `OUTRIGGER_${name.toUpperCase().replaceAll('-', '_')}`);
    const sources = ['packages', 'examples']
      .flatMap((folder) => filesIn(folder, ['.ts', 'outrigger-keeper']))
      .map(read);
    const written = PAGES.flatMap((path) => read(path).match(/OUTRIGGER_[A-Z_]+\b/g) ?? []);
    const unread = [...new Set(written)].filter(
      (name) => !ofOptions.includes(name) && !sources.some((source) => source.includes(name)),
    );
    // `examples/express-backend` reads one for each agent, by its name.
    expect(unread).toEqual(['OUTRIGGER_TOKEN_ONE']);
  });
});

/** Flags that pages name beside the sidecar's own, by whose they are. */
const FLAGS_OF_OTHERS: Readonly<Record<string, readonly string[]>> = {
  'Claude Code': [
    ...['--print', '--verbose', '--model', '--max-turns', '--append-system-prompt', '--allowedTools', '--settings'],
    ...['--session-id', '--resume', '--continue', '--input-format', '--output-format', '--replay-user-messages'],
  ],
  'the demo': ['--real'],
  outrigger: longFlagsOf(COMMAND_LINE),
  Node: ['--inspect'],
  tsx: ['--tsconfig'],
  docker: ['--detach', '--force-recreate', '--target', '--tag', '--from', '--start-period', '--retries'],
  'the Python client': ['--outcome', '--drain'],
  Debian: ['--yes', '--no-install-recommends', '--uid', '--user-group', '--create-home'],
  'npm and tsup': ['--silent', '--global'],
};

describe('command-line.md', () => {
  const page = read('docs/command-line.md');

  it('has each command, and no other', () => {
    const names = rowsOf(page).flatMap(([name = '']) => (/^\d/.test(name) ? [] : [name]));
    expect(names).toEqual(COMMAND_LINE.commands.map((command) => command.name()));
  });

  it('has each exit code with what it means', () => {
    const codes = rowsOf(page).filter(([code = '']) => /^\d/.test(code));
    expect(codes).toEqual(Object.values(EXIT_CODES).map(({ code, means }) => [String(code), means]));
  });
});

describe('outcomes.md', () => {
  const page = read('docs/outcomes.md');

  it.each(OUTCOME_STATUSES)('has each reason of %s, and whether it is worth another try, and no other', (status) => {
    const written = rowsOf(sectionOf(page, `## ${status}`));
    const expected = Object.entries(OUTCOME_REASONS)
      .filter(([, meaning]) => meaning.status === status)
      .map(([reason, { retryable }]) => [reason, yesOrNo(retryable)]);
    expect(written.map((row) => [row[0], row[3]]).toSorted()).toEqual(expected.toSorted());
    for (const [, what, todo] of written) expect([what, todo]).not.toContain('');
  });
});

/** What sources print: without comments, with `…` for what is put in, and strings that are joined in one piece. */
const printed = ['packages/protocol/src', 'packages/sidecar', 'packages/sdk/src']
  .flatMap((folder) => filesIn(folder, ['.ts', 'outrigger-keeper']))
  .filter((path) => !path.endsWith('.test.ts'))
  .map((path) =>
    read(path)
      .replaceAll(/\/\*[^]*?\*\/|^\s*(?:\/\/|# ).*$/gm, '')
      .replaceAll(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, '…')
      .replaceAll(/\$[a-z]+\b/g, '…')
      .replaceAll(/['`] \+\n *['`]/g, ''),
  );

describe('concepts.md', () => {
  it('has each event of an execution, and no other', () => {
    const types = [...read('packages/sdk/src/events.ts').matchAll(/^ {2}type: '(\w+)';$/gm)].map(
      ([, type = '']) => type,
    );
    expect(types.length).toBeGreaterThan(5);
    const table = rowsOf(sectionOf(read('docs/concepts.md'), '## Output')).map(([name = '']) => name);
    expect(table.toSorted()).toEqual(types.toSorted());
  });
});

describe('troubleshooting.md', () => {
  const page = read('docs/troubleshooting.md');
  const codes = headingsOf(sectionOf(page, '## Codes')).map((title) => title.replaceAll('`', ''));
  const messages = headingsOf(page.slice(0, page.indexOf('\n## Codes')))
    .filter((title) => title.startsWith('`'))
    .map((title) => title.replaceAll('`', ''));

  it('has messages', () => {
    expect(messages.length).toBeGreaterThan(40);
  });

  it.each(messages)('has "%s" word for word', (message) => {
    // Where a message is put together of several, the last part of a heading is another one's.
    const text = message.replace(/: …$/, ': ');
    expect(printed.filter((source) => source.includes(text))).not.toEqual([]);
  });

  it('has every code that a call is rejected with, and no other', () => {
    const ofUpgrade = [...read('packages/sidecar/src/link/authenticate.ts').matchAll(/code: '(\w+)'/g)].map(
      ([, code = '']) => code,
    );
    expect(ofUpgrade.length).toBeGreaterThan(4);
    const expected = new Set([...Object.keys(WIRE_ERRORS), ...Object.keys(SDK_ERRORS), ...ofUpgrade]);
    expect(codes).toEqual([...expected].toSorted());
  });

  const meanings: { family: string; code: string; fault: string; retryable: boolean }[] = [
    ...Object.entries(WIRE_ERRORS).map(([code, meaning]) => ({ family: 'an agent', code, ...meaning })),
    ...Object.entries(SDK_ERRORS).map(([code, meaning]) => ({ family: 'the SDK', code, ...meaning })),
  ];

  it.each(meanings)('says of $code of $family whose fault it is and whether to try again', (meaning) => {
    const { code, fault, retryable } = meaning;
    expect(sectionOf(page, `### \`${code}\``)).toContain(`Fault: ${fault}. Again: ${yesOrNo(retryable)}.`);
  });
});

describe('operations.md', () => {
  const page = read('docs/operations.md');

  /** As `--help` says them: flag and default. */
  const options = [...helpText().matchAll(/^ {2}(--[a-z-]+) .*?(?:\(default:? ([^()]*)\))?(?:; repeatable)?$/gm)].map(
    ([, flag = '', value]) => [flag, value ?? ''] as const,
  );

  it('has each option of the sidecar with its default, and no other', () => {
    const written = rowsOf(sectionOf(page, '## Options of the sidecar'));
    const expected = options.filter(([flag]) => flag !== '--help').map(([flag, value]) => [flag, value]);
    expect(written.map(([flag = '', value = '']) => [flag, valueOf(value)]).toSorted()).toEqual(expected.toSorted());
  });

  it.each(rowsOf(sectionOf(page, '## Options of the sidecar')))(
    'says what %s is at most',
    (flag, _default, most = '') => {
      expect(valueOf(most)).toBe(mostOf(flag));
    },
  );

  it('has each duration of a dispatch with its default and maximum, and no other', () => {
    const section = sectionOf(page, '## Durations of a dispatch');
    const expected = Object.entries(DURATIONS).map(([name, { defaultMs, maxMs }]) => [
      name,
      `${defaultMs}`,
      `${maxMs}`,
    ]);
    expect(rowsOf(section).map(([name = '', ...values]) => [name, ...values.map(valueOf)])).toEqual(expected);
    expect(section).toContain(`\`maxResumes\` is ${MAX_RESUMES_DEFAULT}, and ${LIMITS.resumesMax} at most.`);
    expect(section).toContain(`\`maxOutputBytes\` is ${MAX_OUTPUT_BYTES_DEFAULT / 1024 ** 3} GiB.`);
  });

  it('has limits with their values', () => {
    const written = rowsOf(sectionOf(page, '## Limits that are no options'));
    expect(written.length).toBeGreaterThan(10);
    const expected = written.map(([name = '']) => [name, String(LIMITS[name as keyof typeof LIMITS])]);
    expect(written.map(([name = '', value = '']) => [name, valueOf(value)])).toEqual(expected);
  });

  it('has each event of a fleet, and no other', () => {
    const declared = /interface FleetEvents \{(.*?)^\}/ms.exec(read('packages/sdk/src/events.ts'))?.[1] ?? '';
    const names = [...declared.matchAll(/^ {2}(\w+): \[/gm)].map(([, name = '']) => name);
    expect(names.length).toBeGreaterThan(10);
    const written = rowsOf(sectionOf(page, '## What to watch')).map(([name]) => name);
    expect(written.toSorted()).toEqual(names.toSorted());
  });

  it('has options of the SDK with the defaults that their docstrings give', () => {
    const sources = ['fleet.ts', 'link/timing.ts', 'store/redis/redis-store.ts'];
    const source = sources.map((path) => read(`packages/sdk/src/${path}`)).join('\n');
    const written = rowsOf(sectionOf(page, '## Options of a fleet'));
    expect(written.length).toBeGreaterThan(8);
    for (const [name = '', value] of written) {
      const docstring =
        new RegExp(`/\\*\\*((?:(?!\\*/)[^])*)\\*/\\s+(?:readonly )?${name}\\??:`).exec(source)?.[1] ?? '';
      const given = /@default ([^\n]*)/.exec(docstring)?.[1]?.replaceAll(/['`]/g, '').trim();
      expect([name, given]).toEqual([name, value]);
    }
  });
});

/** The most an option can be, as its refusal of too much says; empty: it is no number, or there is no such limit. */
function mostOf(flag = ''): string {
  const tooMuch = '99999999999999999999';
  try {
    readOptions([`--claude=${fakeClaudePath}`, `${flag}=${tooMuch}`], { PATH: process.env['PATH'] });
  } catch (error) {
    const most = /must be at most (\d+)$/.exec((error as Error).message)?.[1] ?? '';
    return most === String(Number.MAX_SAFE_INTEGER) ? '' : most;
  }
  return '';
}

describe('prose', () => {
  it('is what is checked, without blocks of code', () => {
    expect(proseOf('a\n```sh\n# no heading\n```\nb')).toBe('a\n\nb');
  });
});
