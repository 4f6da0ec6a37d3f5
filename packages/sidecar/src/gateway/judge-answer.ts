import { type Headers, lookupIn } from '../core/gateway-headers.js';
import { judge, type Judgement, type JudgePolicy } from '../core/refusal.js';
import { type CredentialInForce } from '../credentials/slot.js';
import { type AnswerBody } from './answer-body.js';
import { type Witness } from './witness.js';

/** As much of a refusal as is looked at. */
const REFUSAL_BYTES_MAX = 64 * 1024;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: AnswerBody;
}

export interface JudgeOptions {
  readonly used: CredentialInForce;
  readonly policy: JudgePolicy;
  readonly triesBefore: number;
  readonly witness: Witness;
}

/** Reads as much of an answer as it takes to judge it, and has what it shows of the credential noted. */
export async function judgeAnswer(
  answer: Answer,
  { used, policy, triesBefore, witness }: JudgeOptions,
): Promise<Judgement> {
  const body = answer.status >= 400 ? await answer.body.look(REFUSAL_BYTES_MAX) : null;
  const head = { status: answer.status, headers: lookupIn(answer.headers) };
  const context = { nowEpochMs: Date.now(), triesBefore, random: Math.random() };
  const judgement = judge({ ...head, body }, policy, context);
  witness.see(used, head, judgement);
  return judgement;
}
