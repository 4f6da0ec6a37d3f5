import { type Credential } from '@outrigger/protocol';
import { describe, expect, it } from 'vitest';
import { credentialsOf, type Headers, lookupIn, requestHeaders, responseHeaders } from './gateway-headers.js';

const OAUTH: Credential = { id: 'a', kind: 'oauth', secret: 'sk-oauth' };
const KEY: Credential = { id: 'b', kind: 'api_key', secret: 'sk-key' };
const BETA = 'oauth-2025-04-20';
const OWN = { 'accept-encoding': 'identity' };
const AS_KEY = { ...OWN, 'x-api-key': 'sk-key' };

/** About one connection, or one hop. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
];

describe('a request to the provider', () => {
  it('has the headers it came with, several of one name as well', () => {
    const headers = {
      accept: 'text/event-stream',
      'x-app': ['cli', 'bg'],
      'anthropic-version': '2023-06-01',
      gone: undefined,
    };
    const sent = requestHeaders(headers, KEY);
    expect(sent).toEqual({
      accept: 'text/event-stream',
      'x-app': ['cli', 'bg'],
      'anthropic-version': '2023-06-01',
      ...AS_KEY,
    });
    expect(sent).not.toHaveProperty('gone');
  });

  it.each([
    ...HOP_BY_HOP,
    'proxy-authorization',
    'proxy-authenticate',
    'proxy-anything',
    'cookie',
    'host',
    'content-length',
    'expect',
    'forwarded',
    'via',
    'x-forwarded-for',
    'x-forwarded-anything',
    'x-real-ip',
    'cf-connecting-ip',
    'accept-encoding',
  ])('has no %s', (name) => {
    expect(requestHeaders({ [name]: 'theirs' }, KEY)).toEqual(AS_KEY);
    expect(requestHeaders({ [name]: ['theirs', 'more'] }, KEY)).toEqual(AS_KEY);
  });

  it.each(['x-forwarded', 'x-real', 'cf', 'proxy', 'hosts', 'x-api-key-id', 'viaduct', 'my-proxy-x', 'x-cf-y'])(
    'has %s, which only looks like one of those',
    (name) => {
      expect(requestHeaders({ [name]: 'v' }, KEY)).toEqual({ ...AS_KEY, [name]: 'v' });
    },
  );

  it('has none that its connection names', () => {
    const headers = { connection: 'close, X-One ,x-two', 'x-one': '1', 'x-two': '2', 'x-three': '3' };
    expect(requestHeaders(headers, KEY)).toEqual({ ...AS_KEY, 'x-three': '3' });
    expect(requestHeaders({ ...headers, connection: ['x-one', 'x-three'] }, KEY)).toEqual({ ...AS_KEY, 'x-two': '2' });
  });

  it('keeps the credential though its connection names it', () => {
    expect(requestHeaders({ connection: 'x-api-key, authorization, anthropic-beta' }, KEY)).toEqual(AS_KEY);
  });

  it.each<[string, Headers]>([
    ['a placeholder of the other kind', { authorization: 'Bearer placeholder' }],
    ['a placeholder of its kind', { 'x-api-key': 'placeholder' }],
    ['both', { authorization: 'Bearer p', 'x-api-key': 'p' }],
    ['several', { authorization: ['Bearer p', 'Bearer q'], 'x-api-key': ['p', 'q'] }],
    ['a cookie', { cookie: 'sessionKey=theirs' }],
  ])('has the credential of the agent in place of %s', (_what, headers) => {
    expect(requestHeaders(headers, KEY)).toEqual(AS_KEY);
    expect(requestHeaders(headers, OAUTH)).toEqual({
      ...OWN,
      authorization: 'Bearer sk-oauth',
      'anthropic-beta': BETA,
    });
  });

  it.each<[string | string[] | undefined, string | undefined, string]>([
    [undefined, undefined, BETA],
    ['', undefined, BETA],
    [' , ,', undefined, BETA],
    ['a', 'a', `a,${BETA}`],
    [' a , b ', 'a,b', `a,b,${BETA}`],
    [BETA, undefined, BETA],
    [`${BETA}, a`, 'a', `${BETA},a`],
    [`a,${BETA},b`, 'a,b', `a,${BETA},b`],
    [['a', BETA], 'a', `a,${BETA}`],
    [['a', 'b,c'], 'a,b,c', `a,b,c,${BETA}`],
    [`${BETA}-x`, `${BETA}-x`, `${BETA}-x,${BETA}`],
  ])('that comes with the flags %j has %j for a key and %j for a token', (came, forKey, forToken) => {
    const headers = { 'anthropic-beta': came };
    expect(requestHeaders(headers, KEY)['anthropic-beta']).toBe(forKey);
    expect('anthropic-beta' in requestHeaders(headers, KEY)).toBe(forKey !== undefined);
    expect(requestHeaders(headers, OAUTH)['anthropic-beta']).toBe(forToken);
  });

  it('leaves what came as it was', () => {
    const came = { 'x-app': ['a'], authorization: 'Bearer p' };
    const sent = requestHeaders(came, OAUTH);
    expect(sent['x-app']).not.toBe(came['x-app']);
    expect(came).toEqual({ 'x-app': ['a'], authorization: 'Bearer p' });
  });
});

describe('an answer', () => {
  it('has the headers it came with', () => {
    const headers = {
      'content-type': 'text/event-stream',
      'request-id': 'r',
      'retry-after': '5',
      'anthropic-ratelimit-unified-status': 'allowed',
      'content-length': '5',
      'x-several': ['1', '2'],
      via: 'theirs',
    };
    expect(responseHeaders({ ...headers, gone: undefined })).toEqual(headers);
    expect(responseHeaders({ gone: undefined })).not.toHaveProperty('gone');
  });

  it('leaves what came as it was', () => {
    const came = { 'x-several': ['1'] };
    expect(responseHeaders(came)['x-several']).not.toBe(came['x-several']);
  });

  it.each([...HOP_BY_HOP, 'set-cookie'])('has no %s', (name) => {
    expect(responseHeaders({ [name]: ['a', 'b'], 'x-kept': 'yes' })).toEqual({ 'x-kept': 'yes' });
  });

  it('has none that its connection names', () => {
    const headers = { connection: 'X-Gone', 'x-gone': '1', 'x-kept': '2' };
    expect(responseHeaders(headers)).toEqual({ 'x-kept': '2' });
  });
});

describe('the credentials a request carries', () => {
  it.each<[Headers, string[]]>([
    [{}, []],
    [{ authorization: 'Bearer a' }, ['a']],
    [{ authorization: 'Bearer sk-ant-oat01-a_B.c=' }, ['sk-ant-oat01-a_B.c=']],
    [{ authorization: 'bEARER   a  ' }, ['a']],
    [{ 'x-api-key': 'b' }, ['b']],
    [{ authorization: 'Bearer a', 'x-api-key': 'b' }, ['a', 'b']],
    [{ authorization: ['Bearer a', 'Bearer c'] }, ['a']],
    [{ 'x-api-key': ['b', 'd'] }, ['b']],
    // What is not understood is one nevertheless, and nobody's.
    [{ authorization: 'Basic YTpi' }, ['']],
    // As 1.0.128 sends it beside an API key.
    [{ authorization: 'Bearer', 'x-api-key': 'b' }, ['b']],
    [{ authorization: 'Bearer ' }, []],
    [{ authorization: 'Bearera' }, ['']],
    [{ authorization: 'Bearer a b' }, ['']],
    [{ authorization: 'x Bearer a' }, ['']],
    [{ authorization: '' }, ['']],
    [{ authorization: [] }, []],
    [{ authorization: 'Basic YTpi', 'x-api-key': 'b' }, ['', 'b']],
    [{ 'x-api-key': '' }, ['']],
    [{ 'proxy-authorization': 'Bearer a', cookie: 'x-api-key=b' }, []],
  ])('of %j are %j', (headers, credentials) => {
    expect(credentialsOf(headers)).toEqual(credentials);
  });
});

it('a header is looked up by its name, and several of one name are joined', () => {
  const lookup = lookupIn({ one: '1', several: ['1', '2'], none: [], gone: undefined });
  expect(['one', 'several', 'none', 'gone', 'never'].map(lookup)).toEqual(['1', '1, 2', '', undefined, undefined]);
});
