// Calls between the conductor and its child processes: `start` on one side, `answer` on the other.
// Every contestant and every server has a process of its own, so that nobody pays for a neighbour's garbage,
// nobody's inline caches are spoiled by a neighbour, and `process.cpuUsage()` is one contestant's bill.

import { type ChildProcess, fork } from 'node:child_process'

type Args = Record<string, unknown>
type Handlers = Record<string, (args: never) => unknown>

interface Call {
  id: number
  method: string
  args: Args
}

interface Answer {
  id: number
  value?: unknown
  error?: string
}

export interface Child {
  readonly pid: number
  call<T>(method: string, args?: Args): Promise<T>
  /** Asks it to end and waits until it has; ends it the hard way after two seconds. */
  stop(): Promise<void>
  signal(name: NodeJS.Signals): void
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts a module of bench/ as a child process. */
export async function start(
  module: URL,
  options: { args?: string[]; execArgv?: string[]; env?: Record<string, string> } = {},
): Promise<Child> {
  const child = fork(module, options.args ?? [], {
    execArgv: options.execArgv ?? [],
    env: { ...process.env, ...options.env },
    serialization: 'json',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  running.add(child)
  const pending = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  let nextId = 1
  const ended = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      running.delete(child)
      for (const { reject } of pending.values()) {
        reject(new Error(`${module.pathname.split('/').at(-1)} ended (${code ?? signal}) in mid-call`))
      }
      pending.clear()
      resolve()
    })
  })
  child.on('message', (message: Answer) => {
    const waiting = pending.get(message.id)
    pending.delete(message.id)
    if (message.error === undefined) waiting?.resolve(message.value as never)
    else waiting?.reject(new Error(message.error))
  })
  return {
    pid: child.pid ?? 0,
    call: (method, args = {}) =>
      new Promise((resolve, reject) => {
        const id = nextId++
        pending.set(id, { resolve, reject })
        child.send({ id, method, args } satisfies Call, (error) => {
          if (error) reject(error)
        })
      }),
    async stop() {
      const timer = setTimeout(() => child.kill('SIGKILL'), 2000)
      if (child.connected) child.disconnect()
      await ended
      clearTimeout(timer)
    },
    signal: (name) => void child.kill(name),
  }
}

/** Answers the conductor's calls; ends this process when the conductor goes. */
export function answer(handlers: Handlers): void {
  process.on('message', async ({ id, method, args }: Call) => {
    const reply: Answer = { id }
    try {
      const handler = handlers[method]
      if (!handler) throw new Error(`no such call: ${method}`)
      reply.value = await handler(args as never)
    } catch (error) {
      reply.error = error instanceof Error ? (error.stack ?? error.message) : String(error)
    }
    if (process.connected) process.send?.(reply)
  })
  process.on('disconnect', () => process.exit(0))
}
