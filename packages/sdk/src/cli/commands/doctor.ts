import { type Agent } from '../../agent.js';
import { type Context } from '../context.js';
import { diagnose, type Finding } from '../diagnosis.js';
import { type Terminal } from '../terminal.js';
import { truncate } from '../table.js';
import { wrap } from '../wrap.js';

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
    const lead = `  ${mark} ${about.padEnd(indent - 5)} `;
    const advised = advice === undefined ? [] : wrap(`→ ${advice}`, { width: columns, indent });
    for (const line of [...wrap(says, { width: columns, indent, lead }), ...advised]) print(truncate(line, columns));
  }
}
