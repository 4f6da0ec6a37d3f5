/** One value of one subject, as the picture shows it. */
export interface Bar {
  readonly name: string;
  readonly value: number;
  /** Ours are drawn in another colour than what a user could run instead. */
  readonly isOurs: boolean;
}

export interface Chart {
  readonly title: string;
  readonly unit: string;
  readonly bars: readonly Bar[];
  /** For values that lie further apart than a line can show. @default 'linear' */
  readonly scale?: 'linear' | 'log';
}

export interface Target {
  readonly name: string;
  readonly unit: string;
  readonly measured: number;
  readonly limit: number;
  readonly is: 'at most' | 'at least';
  /** What stands in the way and what would reach it, told when the target is missed. */
  readonly ifMissed: string;
}

/** What one question found out. */
export interface Report {
  readonly question: string;
  /** What was run, and how often. */
  readonly setup: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** What the numbers do not say by themselves. */
  readonly notes?: readonly string[];
  readonly charts?: readonly Chart[];
  readonly targets?: readonly Target[];
}

/** Prints the report; and sends it to who put all the questions. */
export function publish(report: Report): void {
  if (process.send === undefined) console.log(markdownOf(report));
  // The channel would keep this process alive, and closing it would end it before it has cleaned up.
  else process.send(report, undefined, undefined, () => process.channel?.unref());
}

export function isMet({ measured, limit, is }: Target): boolean {
  return is === 'at most' ? measured <= limit : measured >= limit;
}

export function markdownOf({ question, setup, columns, rows, notes = [], targets = [] }: Report): string {
  const parts = [`### ${question}`, setup, tableOf(columns, rows), ...notes];
  return [...parts, ...(targets.length === 0 ? [] : [targetTable(targets)])].join('\n\n');
}

/** Each target with what was measured; a missed one with the reason. */
export function targetTable(targets: readonly Target[]): string {
  return tableOf(
    ['target', 'limit', 'measured', ''],
    targets.map((target) => [
      target.name,
      `${target.is} ${quantity(target.limit, target.unit)}`,
      quantity(target.measured, target.unit),
      isMet(target) ? 'met' : `**missed**: ${target.ifMissed}`,
    ]),
  );
}

export function tableOf(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Three digits that count, with the unit: `1.23 ms`, `12.3 ms`, `1230 ms`. */
export function quantity(value: number, unit: string): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}${unit === '' ? '' : ` ${unit}`}`;
}
