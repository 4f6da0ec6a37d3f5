import { WireError } from '@outrigger/protocol';
import { describe, expect, it } from 'vitest';
import { buildEnvironment, checkEnvironment, type EnvironmentFacts, isCredentialVariable } from './environment.js';
import { CREDENTIAL_VARIABLES } from './routing-variables.js';

const build = (facts: Partial<EnvironmentFacts> = {}) =>
  buildEnvironment({
    inherited: {},
    passed: [],
    requested: {},
    executionId: 'e1',
    upstream: null,
    credential: { kind: 'oauth', secret: 'sk-oauth' },
    ...facts,
  });

const OWN = {
  NO_PROXY: '127.0.0.1,localhost',
  no_proxy: '127.0.0.1,localhost',
  OUTRIGGER_EXECUTION_ID: 'e1',
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  DISABLE_AUTOUPDATER: '1',
  CLAUDE_CODE_OAUTH_TOKEN: 'sk-oauth',
};

describe('the environment of a run', () => {
  it('is the least that is needed where nothing else is given', () => {
    expect(build()).toEqual(OWN);
  });

  it('has what a program needs of the sidecar and nothing else of it', () => {
    const inherited = {
      PATH: '/bin',
      HOME: '/root',
      LC_ALL: 'C',
      XDG_CACHE_HOME: '/c',
      HTTPS_PROXY: 'http://p',
      TZ: '',
    };
    const kept = { AWS_SECRET_ACCESS_KEY: 'x', OUTRIGGER_TOKEN: 'x', NODE_OPTIONS: 'x', path: 'x', UNSET: undefined };
    expect(build({ inherited: { ...inherited, ...kept } })).toEqual({ ...OWN, ...inherited });
  });

  it.each([
    ...[
      'PATH',
      'HOME',
      'USER',
      'LOGNAME',
      'SHELL',
      'LANG',
      'LANGUAGE',
      'TZ',
      'TERM',
      'TMPDIR',
      'LC_ALL',
      'XDG_RUNTIME_DIR',
    ],
    ...['CLAUDE_CONFIG_DIR', 'IS_SANDBOX', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR'],
    ...['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'],
  ])('has %s of the sidecar', (name) => {
    expect(build({ inherited: { [name]: 'theirs' } })).toEqual({ ...OWN, [name]: 'theirs' });
  });

  it('leaves out an allowed variable that is not set', () => {
    expect(build({ inherited: { PATH: undefined } })).not.toHaveProperty('PATH');
  });

  it('has what the operator lets through by name', () => {
    const inherited = { GITHUB_TOKEN: 't', OTHER: 'o' };
    expect(build({ inherited, passed: ['GITHUB_TOKEN'] })).toEqual({ ...OWN, GITHUB_TOKEN: 't' });
  });

  it('has the variables of the caller, which win over inherited ones', () => {
    expect(build({ inherited: { PATH: '/bin' }, requested: { PATH: '/mine', A: '1' } })).toEqual({
      ...OWN,
      PATH: '/mine',
      A: '1',
    });
  });

  it('has variables of ours that a caller cannot change', () => {
    const requested = { OUTRIGGER_EXECUTION_ID: 'other', DISABLE_AUTOUPDATER: '0' };
    expect(build({ requested })).toEqual(OWN);
  });

  it.each(CREDENTIAL_VARIABLES)('C6: never has %s of the sidecar, not even when it is let through', (name) => {
    expect(build({ inherited: { [name]: 'theirs' }, passed: [name] })).toEqual(OWN);
  });

  it('has the credential under the name of its kind alone', () => {
    const { CLAUDE_CODE_OAUTH_TOKEN: _token, ...rest } = OWN;
    expect(build({ credential: { kind: 'api_key', secret: 'sk-key' } })).toEqual({
      ...rest,
      ANTHROPIC_API_KEY: 'sk-key',
    });
  });

  it('has a base URL where the API is somewhere else', () => {
    expect(build({ upstream: 'http://127.0.0.1:1' })).toEqual({ ...OWN, ANTHROPIC_BASE_URL: 'http://127.0.0.1:1' });
  });

  it.each<[string, Partial<EnvironmentFacts>, string]>([
    ['of the sidecar', { inherited: { NO_PROXY: 'a,b', no_proxy: 'c' } }, 'a,b'],
    ['of the sidecar in lower case', { inherited: { no_proxy: 'c' } }, 'c'],
    ['of the caller', { requested: { NO_PROXY: 'd' }, inherited: { NO_PROXY: 'a' } }, 'd'],
    ['of the caller in lower case', { requested: { no_proxy: 'e' }, inherited: { NO_PROXY: 'a' } }, 'e'],
  ])('keeps the machine itself out of any proxy, besides the exceptions %s', (_whose, facts, exceptions) => {
    const { NO_PROXY, no_proxy } = build(facts);
    expect(NO_PROXY).toBe(`${exceptions},127.0.0.1,localhost`);
    expect(no_proxy).toBe(NO_PROXY);
  });

  it('has no empty exception for the proxy', () => {
    expect(build({ inherited: { NO_PROXY: ',a,,' } })['NO_PROXY']).toBe('a,127.0.0.1,localhost');
  });
});

describe('variables of a caller', () => {
  it.each(CREDENTIAL_VARIABLES)('must not hold %s, and the error does not say its value', (name) => {
    expect(isCredentialVariable(name)).toBe(true);
    const check = () => {
      checkEnvironment({ A: '1', [name]: 'sk-secret' });
    };
    expect(check).toThrow(WireError);
    expect(check).toThrow(
      expect.objectContaining({
        code: 'invalid',
        message: `dispatch: request.env: ${name} is not allowed; credentials belong to the agent, not to a dispatch`,
        data: {
          issues: [{ path: `request.env.${name}`, message: expect.not.stringContaining('sk-secret') as string }],
        },
      }),
    );
  });

  it('may hold anything else', () => {
    expect(() => {
      checkEnvironment({ PATH: '/mine', anthropic_api_key: 'x', ANTHROPIC_MODEL: 'm' });
    }).not.toThrow();
    expect(isCredentialVariable('ANTHROPIC_MODEL')).toBe(false);
  });
});
