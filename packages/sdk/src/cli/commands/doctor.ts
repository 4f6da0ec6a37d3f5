import { type Agent } from '../../agent.js';
import { type Context } from '../context.js';
import { diagnose, type Finding } from '../diagnosis.js';
import wrapAnsi from 'wrap-ansi';
import { type Terminal } from '../terminal.js';
import { truncate } from '../table.js';

const MARKS = { ok: '✓', warning: '!', fault: '✗' } as const;

/** Looks for what would make agents fail, and says what to do about it. */
export async function doctor(context: Context): Promise<void> {
  await using session = await context.connect();
  for (const agent of session.agents) {
    const findings = await examine(agent);
    if (findings.some(({ grade }) => grade === 'fault')) context.exitWith('failed');
    if (context.isJson) context.printJson({ agentId: agent.id, findings });
    else printFindings(context.terminal, agent.id, findings);
  }
}

async function examine(agent: Agent): Promise<Finding[]> {
  const askedAtMs = Date.now();
  const { machine } = await agent.status({ machine: true });
  const answeredAtMs = Date.now();
  // Asks the provider, so it takes its time.
  const status = await agent.status({ preflight: true });
  return diagnose(agent.info, { ...status, ...(machine && { machine }) }, { askedAtMs, answeredAtMs });
}

function printFindings({ columns, colors, print }: Terminal, agentId: string, findings: readonly Finding[]): void {
  const paint = { ok: colors.green, warning: colors.yellow, fault: colors.red };
  print(colors.bold(agentId));
  const indent = Math.max(...findings.map(({ about }) => about.length)) + 5;
  for (const { about, grade, says, advice } of findings) {
    const mark = paint[grade](MARKS[grade]);
    wrap(says, columns - indent).forEach((line, n) => {
      print(n === 0 ? `  ${mark} ${about.padEnd(indent - 5)} ${line}` : ' '.repeat(indent) + line);
    });
    if (advice === undefined) continue;
    for (const line of wrap(`→ ${advice}`, columns - indent)) print(truncate(' '.repeat(indent) + line, columns));
  }
}

function wrap(text: string, width: number): string[] {
  return width === Infinity ? [text] : wrapAnsi(text, Math.max(10, width), { hard: true }).split('\n');
}
