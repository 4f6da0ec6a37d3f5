import { WireError } from '@outrigger/protocol';
import { describe, expect, it } from 'vitest';
import { CREDENTIAL_VARIABLES } from './routing-variables.js';
import { checkSettings, mergeSettings, pinnedSettings, proxiesOf, type SettingsFacts } from './settings.js';

const HELPERS = ['apiKeyHelper', 'awsAuthRefresh', 'awsCredentialExport', 'gcpAuthRefresh', 'proxyAuthHelper'];
const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy'];

const FACTS: SettingsFacts = {
  baseUrl: 'http://127.0.0.1:7000',
  kind: 'oauth',
  placeholder: 'placeholder',
  proxies: { HTTP_PROXY: '', HTTPS_PROXY: 'http://proxy', ALL_PROXY: '' },
  noProxy: '127.0.0.1,localhost',
};

describe('the pinned settings', () => {
  it('send a run to the base URL as the placeholder, past nothing but its own proxies', () => {
    const { env } = pinnedSettings(FACTS);
    expect(env).toMatchObject({
      ANTHROPIC_BASE_URL: 'http://127.0.0.1:7000',
      CLAUDE_CODE_OAUTH_TOKEN: 'placeholder',
      HTTPS_PROXY: 'http://proxy',
      https_proxy: 'http://proxy',
      NO_PROXY: '127.0.0.1,localhost',
      no_proxy: '127.0.0.1,localhost',
    });
    const filled = Object.entries(env).filter(([, value]) => value !== '');
    expect(filled).toHaveLength(6);
    expect(Object.keys(env).sort()).toEqual([...CREDENTIAL_VARIABLES, ...PROXIES, 'NO_PROXY', 'no_proxy'].sort());
  });

  it('carry the placeholder under the name of its kind alone', () => {
    const { env } = pinnedSettings({ ...FACTS, kind: 'api_key' });
    expect(env).toMatchObject({ ANTHROPIC_API_KEY: 'placeholder', CLAUDE_CODE_OAUTH_TOKEN: '' });
  });

  it('leave the credential alone where the run has it itself, and keep out every other', () => {
    const { env } = pinnedSettings({ ...FACTS, placeholder: null });
    expect(env).not.toHaveProperty('CLAUDE_CODE_OAUTH_TOKEN');
    expect(env).toHaveProperty('ANTHROPIC_API_KEY', '');
  });

  it('name no base URL where the API is the provider itself', () => {
    expect(pinnedSettings({ ...FACTS, baseUrl: null }).env).toHaveProperty('ANTHROPIC_BASE_URL', '');
  });

  it.each(HELPERS)('have no %s', (helper) => {
    expect(pinnedSettings(FACTS)).toHaveProperty(helper, '');
  });
});

describe('the settings of a caller', () => {
  it('lie under the pins, and keep what the pins do not name', () => {
    const requested = { model: 'opus', apiKeyHelper: 'theirs', env: { A: '1', ANTHROPIC_BASE_URL: 'theirs' } };
    const pins = pinnedSettings(FACTS);
    expect(mergeSettings(requested, FACTS)).toEqual({ ...pins, model: 'opus', env: { ...pins.env, A: '1' } });
  });

  it('may be missing', () => {
    expect(mergeSettings(undefined, FACTS)).toEqual(pinnedSettings(FACTS));
  });

  it.each([...CREDENTIAL_VARIABLES, ...PROXIES, 'NO_PROXY', 'no_proxy', 'Anthropic_Base_Url'])(
    'C17: must not set %s, and the error does not say its value',
    (name) => {
      expect(refusalOf({ env: { A: '1', [name]: 'sk-secret' } })).toEqual({
        path: `request.settings.env.${name}`,
        message: `${name} is not allowed; where a run goes and as whom belongs to the agent, not to a dispatch`,
      });
    },
  );

  it.each(HELPERS)('C17: must not set %s', (name) => {
    expect(refusalOf({ [name]: '/bin/echo sk-secret' })).toEqual({
      path: `request.settings.${name}`,
      message: `${name} is not allowed; where a run goes and as whom belongs to the agent, not to a dispatch`,
    });
  });

  it.each([[null], ['A=1'], [['A']], [1]])('must not have %j for their environment', (env) => {
    expect(refusalOf({ env })).toEqual({ path: 'request.settings.env', message: 'must be an object' });
  });

  it.each([[{}], [{ env: {} }], [{ model: 'opus', env: { ANTHROPIC_MODEL: 'm', AWS_PROFILE: 'p' } }]])(
    'may be %j',
    (requested) => {
      expect(() => checkSettings(requested)).not.toThrow();
    },
  );

  function refusalOf(requested: Record<string, unknown>): unknown {
    try {
      checkSettings(requested);
    } catch (error) {
      expect(error).toBeInstanceOf(WireError);
      expect(error).toMatchObject({ code: 'invalid' });
      const [issue] = (error as WireError).data['issues'] as { path: string; message: string }[];
      expect((error as WireError).message).toBe(`dispatch: request.settings: ${issue?.message ?? ''}`);
      return issue;
    }
    return null;
  }
});

describe('the proxies of an environment', () => {
  it('are found whichever way they are written, and empty where there are none', () => {
    expect(proxiesOf({ HTTP_PROXY: 'a', http_proxy: 'b', https_proxy: 'c' })).toEqual({
      HTTP_PROXY: 'a',
      HTTPS_PROXY: 'c',
      ALL_PROXY: '',
    });
  });
});
