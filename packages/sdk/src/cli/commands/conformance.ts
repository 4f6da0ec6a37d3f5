import { type ConformanceResult, runConformance } from '../../conformance/index.js';
import { type Context } from '../context.js';
import { wrap } from '../wrap.js';

/** Finds out whether what listens at an address keeps to the protocol. */
export async function conformance(context: Context, { strict = false }: { strict?: boolean }): Promise<void> {
  const { terminal, isJson, printJson } = context;
  for (const { url, token, ca, insecure = false } of context.addresses()) {
    const target = { url, token: typeof token === 'string' ? token : await token(), insecure };
    const onResult = (result: ConformanceResult) => (isJson ? printJson({ url, ...result }) : show(context, result));
    const report = await runConformance({ ...target, ...(ca !== undefined && { ca: String(ca) }) }, { onResult });
    const { passed, failed, skipped } = report;
    const summary = `${url}: ${passed} passed, ${failed} failed, ${skipped} skipped`;
    if (!isJson) for (const line of wrap(summary, { width: terminal.columns, indent: 0 })) terminal.print(line);
    const hint = 'what was skipped could not be checked on this agent as it stands; --strict takes that for a failure';
    if (!isJson && skipped > 0 && !strict) {
      for (const line of wrap(hint, { width: terminal.columns, indent: 0 })) terminal.note(line);
    }
    if (failed > 0 || (strict && skipped > 0)) context.exitWith('failed');
  }
}

function show(
  { terminal: { columns: width, colors, print } }: Context,
  { id, result, reason, demand, section }: ConformanceResult,
) {
  const marks = { passed: colors.green('✓'), failed: colors.red('✗'), skipped: colors.yellow('-') };
  const details = result === 'passed' ? [] : [`${demand} (${section})`, ...(reason === undefined ? [] : [reason])];
  for (const line of wrap(id, { width, indent: 2, lead: `${marks[result]} ` })) print(line);
  for (const line of details.flatMap((each) => wrap(each, { width, indent: 4 }))) print(line);
}
