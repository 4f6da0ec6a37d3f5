import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import {
  CURSOR_START,
  decodeClientFrame,
  encodeFrame,
  type ExecutionSummary,
  LIMITS,
  type Request,
  type SidecarFrame,
} from '@outrigger/protocol';
import { type WebSocket, WebSocketServer } from 'ws';

/** An agent that speaks the protocol and starts nothing: what it runs is what a script says that it runs. */
interface ScriptedAgent {
  readonly agentId: string;
  readonly journalId: string;
  /** What it has not forgotten, by executionId. */
  readonly executions: Map<string, ExecutionSummary>;
  readonly acknowledged: Set<string>;
  socket: WebSocket | null;
}

export interface ScriptedAgentsOptions {
  /** @default 1 */
  agents?: number;
  /** Called when a host tries to connect, also while the network is down. */
  onAttempt?: () => void;
  /** Called when a host has connected, and when it has acknowledged an outcome. */
  onHello?: (agentId: string) => void;
  onAck?: (agentId: string, executionId: string) => void;
}

const NOW = 1_767_225_600_000;

/** Any number of agents in one process. Each has a path of its own, so one port serves them all. */
export class ScriptedAgents implements AsyncDisposable {
  readonly #options: ScriptedAgentsOptions;
  readonly #agents: ScriptedAgent[];
  readonly #http = createServer();
  readonly #webSockets = new WebSocketServer({ noServer: true, maxPayload: LIMITS.frameBytesMax });
  #isAway = false;

  private constructor(options: ScriptedAgentsOptions) {
    this.#options = options;
    this.#agents = Array.from({ length: options.agents ?? 1 }, (_, n) => ({
      ...{ agentId: `agent-${n}`, journalId: `journal-${n}` },
      ...{ executions: new Map(), acknowledged: new Set(), socket: null },
    }));
    const byPath = new Map(this.#agents.map((agent) => [`/${agent.agentId}`, agent]));
    this.#http.on('upgrade', (request, socket, head) => {
      const agent = byPath.get(request.url ?? '');
      options.onAttempt?.();
      if (this.#isAway || agent === undefined) socket.destroy();
      else this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => this.#accept(agent, webSocket));
    });
  }

  static async start(options: ScriptedAgentsOptions = {}): Promise<ScriptedAgents> {
    const agents = new ScriptedAgents(options);
    // As many as come at once have to fit in the queue of the kernel.
    agents.#http.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
    await once(agents.#http, 'listening');
    return agents;
  }

  /** Where to connect to, agent by agent. */
  get targets(): { url: string; token: string }[] {
    const { port } = this.#http.address() as AddressInfo;
    return this.#agents.map(({ agentId }) => ({ url: `ws://127.0.0.1:${port}/${agentId}`, token: 'scripted' }));
  }

  /** Each agent runs these from now on, told by its next snapshot. */
  run(idsOf: (agentId: string) => readonly string[]): void {
    for (const { agentId, executions } of this.#agents) {
      for (const executionId of idsOf(agentId)) {
        executions.set(executionId, { executionId, state: 'running', since: NOW, attempt: 1, acceptedAt: NOW });
      }
    }
  }

  /** What runs is over, told by its next connection. */
  endAll(): void {
    for (const { executions } of this.#agents) {
      for (const [executionId, execution] of executions) {
        if (execution.state === 'running') executions.set(executionId, ended(execution));
      }
    }
  }

  /** Every agent knows nothing any more of what it ran. */
  forgetAll(): void {
    for (const { executions } of this.#agents) executions.clear();
  }

  /** Cuts every connection at once. */
  cut(): void {
    for (const { socket } of this.#agents) socket?.terminate();
  }

  /** Whether new connections are broken off from now on, as by a network that is down. */
  setAway(isAway: boolean): void {
    this.#isAway = isAway;
  }

  /** Outcomes that a host has acknowledged. */
  get acknowledged(): string[] {
    return this.#agents.flatMap(({ acknowledged }) => [...acknowledged]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#http.close();
    this.#http.closeAllConnections();
    await once(this.#http, 'close');
  }

  #accept(agent: ScriptedAgent, socket: WebSocket): void {
    agent.socket = socket;
    socket.on('error', () => undefined);
    socket.on('message', (data) => {
      const decoded = decodeClientFrame((data as Buffer).toString());
      if (!decoded.ok) socket.close(4400);
      else if (decoded.frame.type === 'hello') this.#greet(agent, socket);
      else this.#answer(agent, socket, decoded.frame);
    });
  }

  #greet(agent: ScriptedAgent, socket: WebSocket): void {
    this.#options.onHello?.(agent.agentId);
    send(socket, {
      ...{ type: 'welcome', version: 1, sidecarVersion: '0.0.0', claudeVersion: null, capabilities: [] },
      ...{ ...standing(agent), journalId: agent.journalId, killMethods: ['lineage'], isolation: 'none' },
      ...{ limits: { ...LIMITS }, refused: [] },
    });
    const open = [...agent.executions.values()];
    for (let from = 0; from === 0 || from < open.length; from += LIMITS.snapshotPageSize) {
      const page = open.slice(from, from + LIMITS.snapshotPageSize).map(({ outcome: _later, ...rest }) => rest);
      send(socket, { type: 'snapshot', executions: page, more: from + LIMITS.snapshotPageSize < open.length });
    }
    for (const { outcome, end = CURSOR_START } of open) {
      if (outcome !== undefined) send(socket, { type: 'outcome', outcome, end });
    }
  }

  #answer(agent: ScriptedAgent, socket: WebSocket, request: Request): void {
    const { id } = request;
    const reply = (result: Record<string, unknown>) => send(socket, { type: 'reply', id, ok: true, result });
    const execution = 'executionId' in request ? agent.executions.get(request.executionId ?? '') : undefined;
    if (request.type === 'ack') {
      agent.executions.delete(request.executionId);
      agent.acknowledged.add(request.executionId);
      reply({});
      this.#options.onAck?.(agent.agentId, request.executionId);
    } else if (request.type === 'status' && (request.executionId === undefined || execution !== undefined)) {
      reply({ ...standing(agent), execution });
    } else {
      const error = { code: 'unknown_execution', message: 'it is not in the script' } as const;
      send(socket, { type: 'reply', id, ok: false, error });
    }
  }
}

function standing({ agentId, executions }: ScriptedAgent) {
  const counts = { live: 0, queued: 0, maxExecutions: 10, unacknowledged: executions.size };
  return { agentId, bootId: agentId, counts, credentialMode: 'env' as const, generation: 1, credentialId: 'standing' };
}

function ended(execution: ExecutionSummary): ExecutionSummary {
  const { executionId, acceptedAt } = execution;
  const verdict = { status: 'succeeded', reason: 'completed', message: 'done' } as const;
  return {
    ...{ ...execution, state: 'ended', end: CURSOR_START, verdict: { ...verdict, at: NOW } },
    outcome: {
      ...{ ...verdict, executionId, retryable: false, exit: { code: 0, signal: null }, survivors: 0, attempts: 1 },
      ...{ acceptedAt, endedAt: NOW, closedAt: NOW, heldMs: 0 },
    },
  };
}

function send(socket: WebSocket, frame: SidecarFrame): void {
  socket.send(encodeFrame(frame));
}
