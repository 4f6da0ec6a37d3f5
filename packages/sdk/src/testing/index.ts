import { fileURLToPath } from 'node:url';

export {
  type Answer,
  type BadEnding,
  type Block,
  cut,
  errorInStream,
  hang,
  type MessageAnswer,
  type MessageOptions,
  type Refusal,
  reset,
  silent,
  text,
  toolUse,
} from './stand-in/answers.js';
export { type Accepted } from './stand-in/credentials.js';
export {
  type RateLimitClaim,
  rateLimitHeaders,
  type RateLimitState,
  type RateLimitWindow,
} from './stand-in/rate-limit-headers.js';
export { fromOverage, refusal, type RefusalOptions, withStatus } from './stand-in/refusals.js';
export { type ApiRequest, type RequestKind } from './stand-in/request.js';
export { conversation, inOrder, type Step } from './stand-in/script.js';
export { type StandInApi, type StandInApiOptions, startStandInApi } from './stand-in/stand-in-api.js';
export { fakeScript } from './fake/script.js';
export {
  type AssistantStep,
  type EventStep,
  type FakeStep,
  type FillStep,
  type InitStep,
  type RequestStep,
  type ResultStep,
  type SignalName,
  type SpawnStep,
  type WriteStep,
} from './fake/steps.js';

/**
 * The fake CLI: an executable file to be started in place of `claude`, with the same arguments. Its prompt says what it
 * does: one made by {@link fakeScript}, step by step; any other one is echoed as a good answer. It never asks an API, except
 * in a `request` step.
 */
// Computed here, not in a module of its own: shared modules are built into another folder.
export const fakeClaudePath: string = fileURLToPath(new URL('./fake-claude.js', import.meta.url));
