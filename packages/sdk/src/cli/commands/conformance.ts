import { type ConformanceResult, runConformance } from '../../conformance/index.js';
import { type Context } from '../context.js';
import { truncate } from '../table.js';

/** Finds out whether what listens at an address keeps to the protocol. */
export async function conformance(context: Context): Promise<void> {
  const { terminal, isJson, printJson } = context;
  for (const { url, token, ca, insecure = false } of context.addresses()) {
    const target = { url, token: typeof token === 'string' ? token : await token(), insecure };
    const onResult = (result: ConformanceResult) => (isJson ? printJson({ url, ...result }) : show(context, result));
    const report = await runConformance({ ...target, ...(ca !== undefined && { ca: String(ca) }) }, { onResult });
    const { passed, failed, skipped } = report;
    if (!isJson) terminal.print(`${url}: ${passed} passed, ${failed} failed, ${skipped} skipped`);
    if (failed > 0) context.exitWith('failed');
  }
}

function show(
  { terminal: { columns, colors, print } }: Context,
  { id, result, reason, demand, section }: ConformanceResult,
) {
  const marks = { passed: colors.green('✓'), failed: colors.red('✗'), skipped: colors.yellow('-') };
  print(truncate(`${marks[result]} ${id}`, columns));
  if (result === 'passed') return;
  print(truncate(`    ${demand} (${section})`, columns));
  if (reason !== undefined) print(`    ${reason}`);
}
