import { text } from './answers.js';
import { type Credentials } from './credentials.js';
import { type BodyProblem } from './receive.js';
import { pick, type Step } from './script.js';
import { type Exchange, send, sendJson, sendRefusal } from './send.js';

/** What answers requests at this moment. Changed while the stand-in runs. */
export interface Script {
  respond: Step;
  respondToSide: Step;
  readonly credentials: Credentials;
}

/** The models that `GET /v1/models` lists. */
const models = ['claude-opus-4-1-20250805', 'claude-sonnet-4-5-20250929', 'claude-3-5-haiku-20241022'];

/** What a main request is answered unless the script says otherwise. */
export const defaultAnswer = text('Hello from the stand-in API.', { chunks: 4 });
/** What a side request is answered unless the script says otherwise. */
export const defaultSideAnswer = text('none');

/** Answers one request: its body first, then its credential, then what it is for. */
export async function answer(exchange: Exchange, problem: BodyProblem | undefined, script: Script): Promise<void> {
  const { request } = exchange;
  const refused = request.kind === 'probe' || problem ? undefined : script.credentials.check(request);
  if (problem) sendBodyProblem(exchange, problem);
  else if (refused) await send(exchange, await pick(refused, request));
  else if (request.kind === 'main') await send(exchange, await pick(script.respond, request));
  else if (request.kind === 'side') await send(exchange, await pick(script.respondToSide, request));
  else answerTheRest(exchange);
}

/** Answers that the test's own script threw: as a 400, which no client tries again. */
export function answerScriptFailure(exchange: Exchange, error: unknown): void {
  const words = error instanceof Error ? error.message : String(error);
  sendError(exchange, 400, 'invalid_request_error', `The stand-in's script failed: ${words}`);
}

function answerTheRest(exchange: Exchange): void {
  const { kind, path, bodyBytes } = exchange.request;
  if (kind === 'probe') sendJson(exchange, 200, {});
  else if (kind === 'count_tokens') sendJson(exchange, 200, { input_tokens: Math.ceil(bodyBytes / 4) });
  else if (kind === 'models') sendModels(exchange, /^\/v1\/models\/([^?]+)/.exec(path)?.[1]);
  else sendError(exchange, 404, 'not_found_error', 'Not found');
}

function sendModels(exchange: Exchange, id: string | undefined): void {
  const data = models.map(describeModel);
  const one = data.find((model) => model.id === id);
  if (one) sendJson(exchange, 200, one);
  else if (id !== undefined) sendError(exchange, 404, 'not_found_error', `model: ${id}`);
  else sendJson(exchange, 200, { data, has_more: false, first_id: data[0]?.id, last_id: data.at(-1)?.id });
}

function describeModel(id: string): { id: string } & Record<string, string> {
  return { type: 'model', id, display_name: id, created_at: '2025-01-01T00:00:00Z' };
}

function sendBodyProblem(exchange: Exchange, problem: BodyProblem): void {
  if (problem === 'too_large') sendError(exchange, 413, 'request_too_large', 'Request exceeds the maximum size');
  else sendError(exchange, 400, 'invalid_request_error', 'The request body is not valid JSON');
}

function sendError(exchange: Exchange, status: number, errorType: string, message: string): void {
  sendRefusal(exchange, { type: 'refusal', status, errorType, message, headers: {} });
}
