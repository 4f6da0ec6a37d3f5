import { randomBytes } from 'node:crypto';
import { type Block, type MessageAnswer, type Refusal } from './answers.js';

/** An id in the provider's style, e.g. `msg_standin_1f…`. */
export function newId(kind: 'msg' | 'req' | 'toolu'): string {
  return `${kind}_standin_${randomBytes(9).toString('hex')}`;
}

/** One event of a message stream. `isDelta`: it carries content, and counts as a chunk. */
export interface StreamEvent {
  readonly isDelta: boolean;
  readonly data: { readonly type: string } & Record<string, unknown>;
}

/** One event as it goes over the wire. */
export function sse(data: StreamEvent['data']): string {
  return `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** The provider's error body. */
export function errorBody(answer: Pick<Refusal, 'errorType' | 'message'>, requestId: string): StreamEvent['data'] {
  return { type: 'error', error: { type: answer.errorType, message: answer.message }, request_id: requestId };
}

/** A message as a stream of events, in the order the provider sends them. */
export function* streamOf(answer: MessageAnswer, askedModel: string): Generator<StreamEvent> {
  yield event({ type: 'message_start', message: envelope(answer, askedModel, { content: [], stopped: false }) });
  for (const [index, block] of answer.content.entries()) {
    yield event({ type: 'content_block_start', index, content_block: emptyBlock(block) });
    if (index === 0) yield event({ type: 'ping' });
    for (const piece of block.pieces) {
      const delta =
        block.type === 'text' ? { type: 'text_delta', text: piece } : { type: 'input_json_delta', partial_json: piece };
      yield { isDelta: true, data: { type: 'content_block_delta', index, delta } };
    }
    yield event({ type: 'content_block_stop', index });
  }
  const delta = { stop_reason: answer.stopReason, stop_sequence: null };
  yield event({ type: 'message_delta', delta, usage: { output_tokens: outputTokens(answer) } });
  yield event({ type: 'message_stop' });
}

/** A message as one JSON value, for a request that did not ask for a stream. */
export function jsonOf(answer: MessageAnswer, askedModel: string): object {
  return envelope(answer, askedModel, { content: answer.content.map(wholeBlock), stopped: true });
}

function event(data: StreamEvent['data']): StreamEvent {
  return { isDelta: false, data };
}

function envelope(
  answer: MessageAnswer,
  askedModel: string,
  { content, stopped }: { content: object[]; stopped: boolean },
) {
  return {
    id: newId('msg'),
    type: 'message',
    role: 'assistant',
    model: answer.model ?? askedModel,
    content,
    stop_reason: stopped ? answer.stopReason : null,
    stop_sequence: null,
    usage: {
      input_tokens: 10,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      output_tokens: stopped ? outputTokens(answer) : 1,
      service_tier: 'standard',
    },
  };
}

function emptyBlock(block: Block): object {
  return block.type === 'text'
    ? { type: 'text', text: '' }
    : { type: 'tool_use', id: newId('toolu'), name: block.name, input: {} };
}

function wholeBlock(block: Block): object {
  const whole = block.pieces.join('');
  if (block.type === 'text') return { type: 'text', text: whole };
  return { type: 'tool_use', id: newId('toolu'), name: block.name, input: JSON.parse(whole || '{}') as unknown };
}

// Four characters to a token: near enough for a number that nobody pays for.
function outputTokens(answer: MessageAnswer): number {
  const characters = answer.content.flatMap((block) => block.pieces).reduce((sum, piece) => sum + piece.length, 0);
  return Math.max(1, Math.ceil(characters / 4));
}
