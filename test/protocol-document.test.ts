import {
  CLIENT_FRAME_SCHEMAS,
  CLOSE_CODES,
  decodeClientFrame,
  decodeSidecarFrame,
  dispatchRequestSchema,
  DURATIONS,
  LIMITS,
  MAX_OUTPUT_BYTES_DEFAULT,
  OUTCOME_REASONS,
  OUTCOME_STATUSES,
  outcomeSchema,
  type RequestType,
  RESULT_SCHEMAS,
  SIDECAR_FRAME_SCHEMAS,
  SUBPROTOCOL,
  WIRE_ERRORS,
} from '@outrigger/protocol';
import { describe, expect, it } from 'vitest';
import { examples, page, section } from './support/protocol-page.js';

/** The cells of the table rows under a heading, without their code marks. */
function rows(heading: string): string[][] {
  return section(heading)
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
    .map((line) => line.slice(2, -2).split(' | '));
}

const yesOrNo = (value: boolean) => (value ? 'yes' : 'no');

/** The fields that the tables of a section name, `a`, `b` in one cell counted as two. */
function fieldsOf(heading: string): string[] {
  return rows(heading).flatMap(([cell = '']) => [...cell.matchAll(/`(\w+)`/g)].map((match) => match[1] ?? ''));
}

function shapeOf(schema: object): string[] {
  return 'shape' in schema ? Object.keys(schema.shape as object) : [];
}

const isRequest = (type: string): type is RequestType => type in RESULT_SCHEMAS;

describe('PROTOCOL.md', () => {
  it('names the subprotocol it describes', () => {
    expect(page.split('\n')[0]).toContain(`\`${SUBPROTOCOL}\``);
  });

  it.each(examples)('has an example $title that is a frame', ({ frame }) => {
    const decode = frame.type in CLIENT_FRAME_SCHEMAS ? decodeClientFrame : decodeSidecarFrame;
    const decoded = decode(JSON.stringify(frame));
    expect(decoded).toMatchObject({ ok: true });
    // A misspelt field of an open object would not be an error; it would be missing here.
    expect(decoded).toEqual({ ok: true, frame });
  });

  it('has replies whose result is the one of the request before them', () => {
    const requests = new Map<unknown, RequestType>();
    let checked = 0;
    for (const { frame, line } of examples) {
      if (isRequest(frame.type)) requests.set(frame['id'], frame.type);
      const type = requests.get(frame['id']);
      if (frame.type !== 'reply' || frame['ok'] !== true || type === undefined) continue;
      const parsed = RESULT_SCHEMAS[type].safeParse(frame['result']);
      expect(parsed, `line ${line}: a result of ${type}`).toEqual({ success: true, data: frame['result'] });
      checked++;
    }
    expect(checked).toBeGreaterThan(5);
  });

  it.each(Object.entries({ ...CLIENT_FRAME_SCHEMAS, ...SIDECAR_FRAME_SCHEMAS }))(
    'describes each field of %s, with an example',
    (type, schema) => {
      const text = section(`### \`${type}\``);
      expect(text).toMatch(type in CLIENT_FRAME_SCHEMAS ? 'Client → sidecar' : /Sidecar → |The same for/);
      for (const field of shapeOf(schema)) expect(text).toContain(`\`${field}\``);
      expect(examples.map(({ frame }) => frame.type)).toContain(type);
    },
  );

  it.each(Object.keys(CLIENT_FRAME_SCHEMAS))('names no field of %s that does not exist', (type) => {
    const schema = CLIENT_FRAME_SCHEMAS[type as keyof typeof CLIENT_FRAME_SCHEMAS];
    const results = isRequest(type) ? shapeOf(RESULT_SCHEMAS[type]) : [];
    const known = [...shapeOf(schema), ...results, ...(type === 'dispatch' ? shapeOf(dispatchRequestSchema) : [])];
    const headers = ['request'];
    expect(fieldsOf(`### \`${type}\``).filter((field) => !known.includes(field) && !headers.includes(field))).toEqual(
      [],
    );
  });

  it('describes each field of a dispatch', () => {
    expect(fieldsOf('### `dispatch`')).toEqual(expect.arrayContaining(shapeOf(dispatchRequestSchema)));
  });

  it('describes each field of an execution', () => {
    expect(fieldsOf('### Executions').toSorted()).toEqual(shapeOf(RESULT_SCHEMAS.subscribe).toSorted());
  });

  it('describes each field of an outcome, and each status', () => {
    const fields = fieldsOf('## 6. Outcomes').filter((field) => !(field in OUTCOME_REASONS));
    expect(fields.toSorted()).toEqual(shapeOf(outcomeSchema).toSorted());
    for (const status of OUTCOME_STATUSES) expect(section('## 6. Outcomes')).toContain(`\`${status}\``);
  });

  it('has each outcome reason with its status, meaning, retry and advice, and no other', () => {
    const written = rows('## 6. Outcomes').filter((row) => row.length === 5 && row[0] !== 'reason');
    const expected = Object.entries(OUTCOME_REASONS).map(([reason, { status, meaning, retryable, advice }]) => [
      reason,
      status,
      meaning,
      yesOrNo(retryable),
      advice,
    ]);
    expect(written.map(([reason = '', ...rest]) => [/`(\w+)`/.exec(reason)?.[1], ...rest])).toEqual(expected);
  });

  it('has each error code with its meaning, fault and retry, and no other', () => {
    const expected = Object.entries(WIRE_ERRORS).map(([code, { meaning, fault, retryable }]) => [
      `\`${code}\``,
      meaning,
      fault,
      yesOrNo(retryable),
    ]);
    expect(rows('## 9. Errors').slice(1)).toEqual(expected);
  });

  it('has each close code with its meaning, fault and whether to reconnect, and no other', () => {
    const expected = Object.values(CLOSE_CODES).map(({ code, meaning, fault, reconnect }) => [
      String(code),
      meaning,
      fault,
      yesOrNo(reconnect),
    ]);
    expect(rows('## 10. Close codes').slice(1)).toEqual(expected);
  });

  it('has each limit and duration with its value, and no other', () => {
    const written = rows('## 11. Limits');
    const named = (cells: number) => written.filter((row) => row.length === cells && row[0]?.startsWith('`'));
    expect(named(4).map(([name, value]) => [name, value])).toEqual(
      Object.entries(LIMITS).map(([name, value]) => [`\`${name}\``, String(value)]),
    );
    expect(named(3)).toEqual(
      Object.entries(DURATIONS).map(([name, { defaultMs, maxMs }]) => [
        `\`${name}\``,
        String(defaultMs),
        String(maxMs),
      ]),
    );
    const dispatch = rows('### `dispatch`');
    for (const [name, { defaultMs, maxMs }] of Object.entries(DURATIONS)) {
      const row = dispatch.find(([field]) => field === `\`${name}\``);
      expect(row?.slice(1, 3)).toEqual([`1 to ${maxMs}`, String(defaultMs)]);
    }
    expect(section('## 11. Limits')).toContain(`\`maxOutputBytes\` is ${MAX_OUTPUT_BYTES_DEFAULT} unless`);
  });

  it('links to headings that exist', () => {
    const anchors = [...page.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replace(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    );
    const links = [...page.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor);
    expect(links.filter((anchor) => anchor === undefined || !anchors.includes(anchor))).toEqual([]);
  });
});
