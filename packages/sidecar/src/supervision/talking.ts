import { createHash } from 'node:crypto';
import { type LIMITS, messageBytes, type Result, WireError, type WireErrorCode } from '@outrigger/protocol';
import { monotonicMs } from '../clock.js';
import { type Message } from '../core/conversation.js';
import { judgeMessage } from '../core/inbox.js';
import { type KnownRun } from './known-run.js';
import { type KnownRuns } from './known-runs.js';
import { type Promises } from './promises.js';

/** How hosts talk to interactive runs. */
export class Talking {
  readonly #runs: KnownRuns;
  readonly #promises: Promises;

  constructor(runs: KnownRuns, promises: Promises) {
    this.#runs = runs;
    this.#promises = promises;
  }

  /**
   * Takes a message in, in one synchronous step, and resolves when it is on the disk.
   *
   * @throws WireError when it is refused, or `disk_low` when that cannot be promised; the run may be told it all the same.
   */
  async send(id: string, message: Message): Promise<Result<'send_message'>> {
    const run = this.#runs.get(id);
    const { messageId, text } = message;
    const digest = createHash('sha256').update(text).digest('base64');
    const at = monotonicMs();
    const judged = judgeMessage(run.inbox(at), { messageId, digest, bytes: messageBytes(text) });
    if (judged.verdict === 'refuse') throw refusal(judged.code, { id, messageId, limit: judged.limit });
    if (judged.verdict === 'new') {
      this.#promises.promise({ is: 'message', id, messageId, digest, text });
      run.hear(message, { digest, at });
    }
    await this.#promises.commit();
    return { known: judged.verdict === 'known', state: this.#stateOf(run) };
  }

  /** Nothing more is to be said. Resolves when that is on the disk. @throws WireError `not_interactive`, `disk_low` */
  async end(id: string): Promise<Result<'end_input'>> {
    const run = this.#runs.get(id);
    const at = monotonicMs();
    if (run.inbox(at).messages === null) throw refusal('not_interactive', { id });
    run.endInput(at);
    await this.#promises.commit();
    return { state: this.#stateOf(run) };
  }

  /** It may have ended meanwhile. */
  #stateOf(run: KnownRun): Result<'end_input'>['state'] {
    return (this.#runs.find(run.id) ?? run).summary().state;
  }
}

interface Refused {
  readonly id: string;
  readonly messageId?: string;
  readonly limit?: keyof typeof LIMITS | undefined;
}

function refusal(code: WireErrorCode, { id, messageId = '', limit }: Refused): WireError {
  switch (code) {
    case 'not_interactive':
      return new WireError(
        code,
        `execution ${id} was not dispatched with interactive: true; nothing can be said to it`,
      );
    case 'message_conflict':
      return new WireError(code, `message ${messageId} was sent to execution ${id} before with another text`);
    case 'input_ended':
      return new WireError(code, `nothing more can be said to execution ${id}: its input was ended, or it is ending`);
    default:
      return new WireError(code, `execution ${id} has as many messages as ${limit} allows`, { limit });
  }
}
