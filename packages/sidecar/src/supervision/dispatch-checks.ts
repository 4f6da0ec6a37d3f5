import { createHash } from 'node:crypto';
import { type DispatchRequest, WireError } from '@outrigger/protocol';
import { checkArgs } from '../claude/argv.js';
import { checkEnvironment } from '../claude/environment.js';
import { checkSettings } from '../claude/settings.js';
import { canonicalJson } from '../core/canonical-json.js';

/** What a dispatch may not ask for, whoever is admitted. @throws WireError when it does. */
export function checkDispatch(request: DispatchRequest, mode: 'gateway' | 'env'): void {
  checkArgs(request.args ?? []);
  checkEnvironment(request.env ?? {});
  checkSettings(request.settings ?? {});
  checkPolicy(request, mode);
}

/** Tells a repeated dispatch from another one under the same id; how it came to be admitted is not part of it. */
export function digestOf(request: DispatchRequest): string {
  const { whenBusy: _whenBusy, preflight: _preflight, ...run } = request;
  return createHash('sha256').update(canonicalJson(run)).digest('hex');
}

/** Without the gateway there is nothing that could hold a request. */
function checkPolicy({ onCredentialFailure }: DispatchRequest, mode: 'gateway' | 'env'): void {
  if (onCredentialFailure !== 'hold' || mode === 'gateway') return;
  const path = 'request.onCredentialFailure';
  const message = '"hold" needs a sidecar with --credential-mode gateway';
  throw new WireError('invalid', `dispatch: ${path}: ${message}`, { issues: [{ path, message }] });
}
