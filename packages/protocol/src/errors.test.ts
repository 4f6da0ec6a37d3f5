import { inspect } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import * as here from './errors.js';

vi.resetModules();
const elsewhere = await import('./errors.js');

describe.each([
  ['the same copy of the package', here],
  ['another copy', elsewhere],
])('instanceof recognises errors of %s', (_which, { OutriggerError, WireError }) => {
  it('as what they are', () => {
    expect(new OutriggerError('c', 'm') instanceof here.OutriggerError).toBe(true);
    expect(new WireError('invalid', 'm') instanceof here.WireError).toBe(true);
    expect(new WireError('invalid', 'm') instanceof here.OutriggerError).toBe(true);
    expect(new WireError('invalid', 'm') instanceof Error).toBe(true);
  });

  it('and not as what they are not', () => {
    expect(new OutriggerError('c', 'm') instanceof here.WireError).toBe(false);
    expect(new OutriggerError('c', 'm') instanceof TypeError).toBe(false);
  });
});

it('the two copies under test are two', () => {
  expect(elsewhere.WireError).not.toBe(here.WireError);
});

it.each([null, undefined, 5, 'text', {}, [], new Error('m'), Object.assign(new Error('m'), { code: 'invalid' })])(
  'instanceof does not recognise %s',
  (value: unknown) => {
    expect(value instanceof here.OutriggerError).toBe(false);
    expect(value instanceof here.WireError).toBe(false);
  },
);

it('a class derived from an error of ours recognises its own alone', () => {
  class Special extends here.OutriggerError {}
  class SpecialWire extends here.WireError {}
  expect(new Special('c', 'm') instanceof Special).toBe(true);
  expect(new Special('c', 'm') instanceof here.OutriggerError).toBe(true);
  expect(new here.OutriggerError('c', 'm') instanceof Special).toBe(false);
  expect(new SpecialWire('invalid', 'm') instanceof SpecialWire).toBe(true);
  expect(new SpecialWire('invalid', 'm') instanceof here.WireError).toBe(true);
  expect(new here.WireError('invalid', 'm') instanceof SpecialWire).toBe(false);
  expect((null as unknown) instanceof Special).toBe(false);
});

it('an error has code, message, data and cause, and its brand shows nowhere', () => {
  const cause = new Error('why');
  const error = new here.OutriggerError('some_code', 'what', { data: { limit: 1 }, cause });
  expect(error).toMatchObject({
    name: 'OutriggerError',
    code: 'some_code',
    message: 'what',
    data: { limit: 1 },
    cause,
  });
  expect(Object.getOwnPropertySymbols(Object.assign({}, error))).toEqual([]);
});

it('an error without data or cause has empty data and no cause at all', () => {
  expect(new here.OutriggerError('c', 'm').data).toEqual({});
  expect(new here.OutriggerError('c', 'm')).not.toHaveProperty('cause');
});

it('a WireError carries what the answer carried', () => {
  const error = new here.WireError('limit_exceeded', 'too many', { limit: 5 });
  expect(error).toMatchObject({ name: 'WireError', code: 'limit_exceeded', message: 'too many', data: { limit: 5 } });
});

it('every code that crosses the wire is documented', () => {
  for (const { meaning, fault } of Object.values(here.WIRE_ERRORS)) {
    expect(meaning).toMatch(/\.$/);
    expect(['caller', 'agent']).toContain(fault);
  }
});

it.each([
  ['OutriggerError', new here.OutriggerError('some_code', 'what')],
  ['WireError', new here.WireError('invalid', 'what')],
])('a printed %s begins with its name and message', (name, error) => {
  expect(error.stack?.split('\n')[0]).toBe(`${name}: what`);
  expect(inspect(error).split('\n')[0]).toBe(`${name}: what`);
  expect(inspect(error)).not.toContain('name:');
});
