import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { routeOf, type RouteFacts } from './gateway-route.js';

const route = (facts: Partial<RouteFacts> = {}) =>
  routeOf({ method: 'POST', target: '/v1/messages', host: '127.0.0.1:7412', allowedPaths: [], ...facts });
const kindOf = (facts: Partial<RouteFacts>) => route(facts).kind;

describe('what Claude Code needs is sent on, as it came', () => {
  it.each([
    ['POST', '/v1/messages'],
    ['POST', '/v1/messages?beta=true'],
    ['POST', '/v1/messages?beta=true&x=%2e%2e/?'],
    ['POST', '/v1/messages?'],
    ['POST', '/v1/messages/count_tokens'],
    ['POST', '/v1/messages/count_tokens?beta=true'],
    ['GET', '/v1/models'],
    ['GET', '/v1/models?limit=1000'],
    ['GET', '/v1/models/claude-sonnet-5-5'],
    ['GET', '/v1/models/anthropic.claude:1@2026_01'],
  ])('%s %s', (method, target) => {
    expect(route({ method, target })).toEqual({ kind: 'forward', path: target });
  });
});

describe('C20: nothing else is', () => {
  it.each([
    ['GET', '/v1/messages'],
    ['PUT', '/v1/messages'],
    ['post', '/v1/messages'],
    ['POST', '/v1/models'],
    ['DELETE', '/v1/models/claude-sonnet-5-5'],
    ['GET', '/v1/models/'],
    ['GET', '/v1/models/a/b'],
    ['GET', '/v1/models/.'],
    ['GET', '/v1/models/..'],
    ['GET', '/v1/models/%2e%2e'],
    ['GET', '/v1/models/a%2f..%2f..%2ffiles'],
    ['GET', '/v1/models/a\\..\\..'],
    ['GET', '/v1/models/a;b'],
    ['POST', '/v1/messages/'],
    ['POST', '/v1/messages/batches'],
    ['POST', '/v1/messages/../files'],
    ['POST', '/v1/messages/count_tokens/..'],
    ['POST', '//v1/messages'],
    ['POST', '/v1//messages'],
    ['POST', '/V1/messages'],
    ['POST', '/v1/%6dessages'],
    ['POST', '/x/v1/messages'],
    ['POST', '/x/v1/messages/count_tokens'],
    ['GET', '/x/v1/models'],
    ['POST', '/v1/messages#x'],
    ['POST', '/v1/messages\n'],
    ['POST', '/v1/messages;x'],
    ['POST', 'v1/messages'],
    ['POST', 'http://provider.example/v1/messages'],
    ['POST', 'http://127.0.0.1:7412/v1/messages'],
    ['CONNECT', 'provider.example:443'],
    ['OPTIONS', '*'],
    ['GET', '/'],
    ['HEAD', '/v1/messages'],
    ['POST', '/v1/files'],
    ['GET', '/v1/organizations/usage'],
    ['GET', '/api/oauth/usage'],
    ['POST', ''],
    ['POST', '?/v1/messages'],
    ['POST', '/v1/messages?a b'],
    ['POST', '/v1/messages?a b?c'],
    ['POST', '/v1/messages?a\r\nx-api-key: y'],
    ['POST', '/v1/messages?a\n'],
    ['POST', '/v1/messages?\u0000'],
    ['POST', '/v1/messages?\u007f'],
    ['POST', '/v1/messages?é'],
  ])('%s %j', (method, target) => {
    const refused = route({ method, target });
    expect(refused).toMatchObject({ kind: 'refuse', status: 403 });
    expect(refused.kind === 'refuse' && refused.message).toContain('unset ANTHROPIC_BASE_URL');
  });

  it('and whoever asks is told what was refused, without its query, and cut', () => {
    expect(route({ method: 'GET', target: '/v1/files?key=secret' })).toMatchObject({
      message:
        'GET /v1/files is not what Claude Code needs, so this gateway does not send it on; ' +
        'to reach the provider with a key of your own, unset ANTHROPIC_BASE_URL',
    });
    const long = route({ target: '/'.padEnd(10_000, 'x') });
    expect(long.kind === 'refuse' && long.message).toContain(`POST /${'x'.repeat(199)} is not`);
  });

  it('but for what the operator lets through, exactly and with any method that echoes no credential', () => {
    const allowedPaths = ['/v1/files', '/api/hello'];
    expect(route({ method: 'DELETE', target: '/v1/files', allowedPaths })).toEqual({
      kind: 'forward',
      path: '/v1/files',
    });
    expect(kindOf({ target: '/api/hello?x=1', allowedPaths })).toBe('forward');
    expect(kindOf({ method: 'TRACE', target: '/v1/files', allowedPaths })).toBe('refuse');
    expect(kindOf({ target: '/api/hello?x y', allowedPaths })).toBe('refuse');
    expect(kindOf({ target: '/v1/files/', allowedPaths })).toBe('refuse');
    expect(kindOf({ target: '/v1/files/a', allowedPaths })).toBe('refuse');
  });

  it('whatever is asked for', () => {
    const sent = /^\/v1\/(messages(\/count_tokens)?|models(\/[\w.:@-]+)?)(\?[\x21-\x7e]*)?$/;
    const part = fc.constantFrom(
      '/',
      'v1',
      'messages',
      'models',
      'count_tokens',
      '..',
      '%2e',
      '?',
      '#',
      ';',
      'a',
      '\n',
      ' ',
    );
    const target = fc.oneof(
      fc.string(),
      fc.array(part).map((parts) => parts.join('')),
      fc.array(part).map((parts) => `/v1/${parts.join('')}`),
    );
    fc.assert(
      fc.property(target, fc.constantFrom('GET', 'POST', 'DELETE'), (path, method) => {
        const { kind } = route({ method, target: path });
        expect(kind === 'forward' && !sent.test(path)).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});

it.each([
  ['HEAD', '/', 'probe'],
  ['HEAD', '/?', 'refuse'],
  ['HEAD', '//', 'refuse'],
  ['GET', '/', 'refuse'],
])('%s %s is a question whether anybody is there: %s', (method, target, kind) => {
  expect(kindOf({ method, target })).toBe(kind);
});

describe('a page in a browser that was led here by its name server is sent away', () => {
  it.each(['127.0.0.1', '127.0.0.1:7412', 'localhost', 'LocalHost:80', '[::1]', '[::1]:7412'])('unlike %s', (host) => {
    expect(kindOf({ host })).toBe('forward');
  });

  it.each([
    undefined,
    '',
    'evil.example',
    'evil.example:7412',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'evil.example#localhost',
    'localhost@evil.example',
    'xlocalhost',
    '127.0.0.1:',
    '127.0.0.1:x',
    '127.0.0.1:80 ',
    '127.0.0.1\n',
    '127x0.0.1',
    '127.0x0.1',
    '127.0.0x1',
    '127.0.0.2',
    '0.0.0.0',
    '::1',
    '[::2]',
    '2130706433',
  ])('%j', (host) => {
    expect(route({ host })).toEqual({
      kind: 'refuse',
      status: 421,
      message: 'this gateway answers to loopback names only',
    });
    expect(kindOf({ host, method: 'HEAD', target: '/' })).toBe('refuse');
  });
});
