import { OPTION_ENTRIES } from './table.js';

/** The text of `--help`. */
export function helpText(): string {
  const rows = OPTION_ENTRIES.map(([name, option]) => {
    const isSwitch = option.value === undefined;
    const notes = [
      ...(isSwitch || option.default === undefined ? [] : [` (default ${option.default})`]),
      ...(option.isList === true ? ['; repeatable'] : []),
    ];
    return [`--${name}${isSwitch ? '' : ` ${option.value}`}`, `${option.help}${notes.join('')}`] as const;
  });
  rows.push(['--help, --version', 'print this, or the version']);
  const width = Math.max(...rows.map(([flag]) => flag.length));
  return [
    'outrigger-sidecar: supervises the Claude Code runs of one agent container',
    '',
    'Usage: outrigger-sidecar [options]',
    '',
    ...rows.map(([flag, text]) => `  ${flag.padEnd(width)}  ${text}`),
    '',
    'Each option can be given as OUTRIGGER_… as well, e.g. OUTRIGGER_MAX_EXECUTIONS=5; a flag wins.',
    'OUTRIGGER_TOKEN is the control token itself. Without one, a token is made and kept in DIR/token.',
    'CLAUDE_CODE_OAUTH_TOKEN or ANTHROPIC_API_KEY is the credential when no file is given; a file is safer.',
  ].join('\n');
}
