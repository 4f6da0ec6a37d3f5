import { type Preflight } from '@outrigger/protocol';
import { NO_CREDENTIAL } from '../credentials/holds.js';
import { type CredentialInForce } from '../credentials/slot.js';
import { AnswerBody } from './answer-body.js';
import { type GatewayContext } from './context.js';
import { loggable } from './failure.js';
import { judgeAnswer } from './judge-answer.js';

const DEADLINE_MS = 3000;
/** Costs nothing, and needs nothing but a good credential. */
const CHEAP_PATH = '/v1/models?limit=1';
const VERSION_HEADERS = { 'anthropic-version': '2023-06-01' };

/** Answers whether the credential in force is good: from what was seen, else by one cheap request, however many ask. */
export class Preflights {
  readonly #context: GatewayContext;
  readonly #asking = new Map<number, Promise<void>>();

  constructor(context: GatewayContext) {
    this.#context = context;
  }

  /** @param maxAgeMs What the provider has said this long ago still holds. */
  async ask(maxAgeMs: number): Promise<Preflight> {
    const askedAt = Date.now();
    const isFresh = (seen: Preflight) => isYoung(seen, askedAt - maxAgeMs);
    const { slot, witness } = this.#context;
    const { current } = slot;
    if (current === null) return { verdict: 'refused', reason: 'credential_missing', message: NO_CREDENTIAL.message };
    if (!isFresh(witness.of(current.generation))) await this.#askOnce(current);
    const seen = witness.of(current.generation);
    return isFresh(seen) ? seen : { verdict: 'unknown' };
  }

  async #askOnce(current: CredentialInForce): Promise<void> {
    const known = this.#asking.get(current.generation);
    const asking = known ?? this.#request(current).finally(() => this.#asking.delete(current.generation));
    this.#asking.set(current.generation, asking);
    await asking;
  }

  /** What goes wrong leaves open whether the credential is good. */
  async #request(current: CredentialInForce): Promise<void> {
    const { upstream, options, witness } = this.#context;
    try {
      const answer = await upstream.send({
        method: 'GET',
        path: CHEAP_PATH,
        headers: VERSION_HEADERS,
        body: null,
        bodyBytes: 0,
        credential: current.credential,
        signal: AbortSignal.timeout(DEADLINE_MS),
      });
      const body = new AnswerBody(answer.body, DEADLINE_MS);
      await judgeAnswer({ ...answer, body }, { used: current, policy: options, triesBefore: 0, witness });
      body.discard();
    } catch (error) {
      this.#context.logger.debug({ err: loggable(error) }, 'preflight failed');
    }
  }
}

function isYoung({ verdict, seenAt, retryAt }: Preflight, sinceMs: number): boolean {
  if (verdict === 'refused' && retryAt !== undefined && retryAt > Date.now()) return true;
  return seenAt !== undefined && seenAt >= sinceMs;
}
