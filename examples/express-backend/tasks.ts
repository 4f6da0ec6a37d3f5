import { randomUUID } from 'node:crypto';
import { type Fleet, OutriggerError } from '@outrigger/sdk';
import { Router } from 'express';
import { type Outcomes } from './outcomes.js';

/** A task is an execution of the fleet under the same id. */
export function taskRoutes({ fleet, outcomes }: { fleet: Fleet; outcomes: Outcomes }): Router {
  const router = Router();

  // Posting the same id again is harmless, so a client that had no answer does just that.
  router.post('/', async (request, response) => {
    const { id, prompt } = readTask(request.body);
    // Whatever comes of it: after agent_unreachable it may run.
    response.locals['id'] = id;
    const execution = await fleet.dispatch({ executionId: id, prompt });
    response.status(202).location(`/tasks/${id}`).json({ id, agent: execution.agentId });
  });

  router.get('/:id', async (request, response) => {
    const { id } = request.params;
    const outcome = await outcomes.get(id);
    if (outcome !== null) {
      response.json({ id, state: 'ended', outcome });
      return;
    }
    const execution = await fleet.execution(id);
    response.json({ id, agent: execution.agentId, state: execution.state });
  });

  // Its outcome tells what came of it.
  router.delete('/:id', async (request, response) => {
    const execution = await fleet.execution(request.params.id);
    await execution.cancel();
    response.status(202).json({ id: execution.id, agent: execution.agentId });
  });

  return router;
}

/** @throws `invalid` */
function readTask(body: unknown): { id: string; prompt: string } {
  if (typeof body !== 'object' || body === null) throw invalid('the body: expected a JSON object');
  const { id = randomUUID(), prompt, ...rest } = body as Record<string, unknown>;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw invalid(`${JSON.stringify(unknown)}: there is no such field`);
  if (typeof prompt !== 'string' || prompt.trim() === '') throw invalid('prompt: expected a text');
  if (typeof id !== 'string' || !/^[A-Za-z0-9][\w.-]{0,127}$/.test(id)) {
    throw invalid('id: expected up to 128 letters, digits, ".", "_" and "-", a letter or digit first');
  }
  return { id, prompt };
}

function invalid(message: string): OutriggerError {
  return new OutriggerError('invalid', message);
}
