import { once } from 'node:events';
import { type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { monotonicMs } from '../clock.js';
import { redactMessage } from '../core/outcome.js';
import { type Judgement } from '../core/refusal.js';
import { isBeside, type RequestTraits, traitsOf } from '../core/request-traits.js';
import { NO_CREDENTIAL } from '../credentials/holds.js';
import { type CredentialInForce } from '../credentials/slot.js';
import { handOn } from './hand-on.js';
import { AnswerBody } from './answer-body.js';
import { type KeptBody } from './body-store.js';
import { type GatewayContext } from './context.js';
import { causeOf, loggable } from './failure.js';
import { type Gate } from './gate.js';
import { type Answer, judgeAnswer } from './judge-answer.js';
import { ClientPatience } from './keep-alive.js';
import { waitForCredential } from './wait-for-credential.js';

/** One for all: each request ends with it, and making an error costs more than all else that is done then. */
const OVER = new Error('the exchange is over');

/** All else is asked beside a run's turns, by the CLI or by a tool. */
const TURN = /^\/v1\/messages(\?|$)/;

export interface ExchangeInit {
  readonly gate: Gate;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly body: KeptBody | null;
}

/**
 * One request of a run, from its arrival to the end of its answer.
 *
 * ```
 *   ┌───────────────────────────────────────────────────────────────────┐
 *   ▼                                                                   │
 *  send ──good, or nothing to do with the credential──► hand on         │
 *   ├── a short throttle, an overload ──► wait in place ────────────────┤
 *   └── credential refused ──► a newer one in force, or held until one is
 * ```
 */
export class Exchange {
  readonly #init: ExchangeInit;
  readonly #context: GatewayContext;
  readonly #gone = new AbortController();
  readonly #signal = this.#gone.signal;
  readonly #stopWatching: () => void;
  readonly #patience: ClientPatience;
  #traits: RequestTraits | null = null;

  constructor(init: ExchangeInit, context: GatewayContext) {
    this.#init = init;
    this.#context = context;
    this.#patience = new ClientPatience(init.response, context.options.holdSilentMs, () => this.#readTraits().isStream);
    // While the end of a large body was being kept the client may have gone already.
    const onGone = () => this.#gone.abort(OVER);
    if (init.response.destroyed || init.gate.isClosed) onGone();
    init.response.once('close', onGone);
    this.#stopWatching = init.gate.onClosed(onGone);
  }

  /** Never rejects: what fails ends with the client's connection, which the CLI takes for a failed network. */
  async run(): Promise<void> {
    const { response, body, gate } = this.#init;
    try {
      const answer = await this.#obtain();
      gate.noteFailure(null);
      this.#patience.end();
      await handOn(answer, response, {
        hasBegun: this.#patience.hasBegun,
        isStream: () => this.#readTraits().isStream,
        onTraffic: () => gate.noteTraffic(),
      });
    } catch (error) {
      if (!this.#signal.aborted) {
        const { executionId } = gate.user;
        gate.noteFailure(causeOf(error));
        this.#context.meter.providerFailed();
        this.#context.logger.warn(
          { err: loggable(error), executionId, path: this.#init.path },
          'request to the provider failed',
        );
      }
      response.destroy();
    } finally {
      this.#patience.end();
      this.#stopWatching();
      this.#gone.abort(OVER);
      body?.release();
    }
  }

  /** Sends the request until there is an answer to hand on. */
  async #obtain(): Promise<Answer> {
    const { slot } = this.#context;
    let used = slot.current ?? (await this.#waitForFirst());
    for (let waits = 0; ;) {
      const answer = await this.#send(used);
      const judgement = await this.#judge(answer, used, waits);
      this.#init.gate.noteTraffic();
      if (judgement.kind === 'pass') return answer;
      if (judgement.kind === 'wait') {
        if (waits >= this.#context.options.waitsMax) return answer;
        answer.body.discard();
        waits += 1;
        this.#context.meter.throttled();
        this.#patience.wait();
        await delay(judgement.afterMs, undefined, { signal: this.#signal });
        used = slot.current ?? used;
      } else {
        this.#context.meter.credentialRefused(judgement.reason);
        const next = await this.#afterRefusal(used, judgement);
        if (next === null) return answer;
        answer.body.discard();
        used = next;
      }
    }
  }

  async #send(used: CredentialInForce): Promise<Answer> {
    this.#signal.throwIfAborted();
    const { request, path, body, gate } = this.#init;
    gate.user.onCredentialUsed(used);
    const sentAt = monotonicMs();
    const answer = await this.#context.upstream.send({
      method: request.method ?? 'GET',
      path,
      headers: request.headers,
      body: body?.send() ?? null,
      bodyBytes: body?.bytes ?? 0,
      credential: used.credential,
      signal: this.#signal,
    });
    this.#context.meter.answerBegan(monotonicMs() - sentAt);
    return { ...answer, body: new AnswerBody(answer.body, this.#context.options.upstreamIdleTimeoutMs) };
  }

  #judge(answer: Answer, used: CredentialInForce, triesBefore: number): Promise<Judgement> {
    const { options, witness } = this.#context;
    // A throttle that has been waited out often enough is no short one.
    const retryAfterMaxMs = triesBefore < options.waitsMax ? options.retryAfterMaxMs : 0;
    return judgeAnswer(answer, { used, policy: { ...options, retryAfterMaxMs }, triesBefore, witness });
  }

  /** The credential to try next; null: the client is to have the refusal. */
  async #afterRefusal(
    used: CredentialInForce,
    judgement: Extract<Judgement, { kind: 'credential' }>,
  ): Promise<CredentialInForce | null> {
    const { current } = this.#context.slot;
    if (current !== null && current.generation > used.generation) return current;
    const { gate } = this.#init;
    const traits = this.#readTraits();
    const { model } = traits;
    const message = redactMessage(judgement.message, this.#context.redactor());
    const { generation } = used;
    const refusal = { ...judgement, message, generation, ...(model === null ? {} : { model }) };
    const isSide = !TURN.test(this.#init.path) || isBeside(traits, gate.user.model());
    // What a run asks a small model besides must not end it, and a limit of that model is not the run's.
    if (isSide && (judgement.scope === 'model' || gate.user.onCredentialFailure !== 'hold')) return null;
    if (gate.user.onCredentialFailure !== 'hold') {
      this.#signal.throwIfAborted();
      gate.refuse(refusal);
      // The run is being ended; it must not print what it would make of the refusal.
      if (!this.#signal.aborted) await once(this.#signal, 'abort');
      this.#signal.throwIfAborted();
    }
    this.#patience.wait();
    return waitForCredential({ gate, refusal, isSide, signal: this.#signal, current: used }, this.#context);
  }

  async #waitForFirst(): Promise<CredentialInForce> {
    this.#patience.wait();
    const { gate } = this.#init;
    const first = await waitForCredential(
      { gate, refusal: NO_CREDENTIAL, isSide: false, signal: this.#signal, current: null },
      this.#context,
    );
    if (first === null) throw new Error('no credential');
    return first;
  }

  #readTraits(): RequestTraits {
    const { body } = this.#init;
    return (this.#traits ??= traitsOf(body === null ? '' : body.text()));
  }
}
