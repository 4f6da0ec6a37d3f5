import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The versions of the real CLI that are installed for tests, newest first. */
export const CLAUDE_VERSIONS = ['2.1.329', '1.0.128'] as const;
export type ClaudeVersion = (typeof CLAUDE_VERSIONS)[number];

const PACKAGES: Readonly<Record<ClaudeVersion, string>> = {
  '2.1.329': '@anthropic-ai/claude-code',
  '1.0.128': 'claude-code-1.0.128',
};

/** The executable of a version of the real CLI. */
export function claudePath(version: ClaudeVersion): string {
  const require = createRequire(import.meta.url);
  const manifest = require.resolve(`${PACKAGES[version]}/package.json`);
  const { bin } = require(manifest) as { bin: { claude: string } };
  return join(dirname(manifest), bin.claude);
}
