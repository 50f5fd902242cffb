// A server that is attacked: started, watched from outside, and ended.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { until } from '../support/misbehavingServer.ts'

export type TargetKind = 'createBackend' | 'SessionServer' | 'FastAPI'

const EXAMPLE = join(import.meta.dirname, '../../examples/fastapi/main.py')
/** The Python that Debian's packages are for. */
const PYTHON = '/usr/bin/python3'
const PAGE_BYTES = 4096

export class Target {
  readonly kind: TargetKind
  readonly port: number
  readonly #child: ChildProcess
  /** The highest of what was measured since `reset`. */
  peakRss = 0
  peakDelayMs = 0
  latestRss = 0
  #timer: NodeJS.Timeout | undefined

  private constructor(kind: TargetKind, child: ChildProcess, port: number) {
    this.kind = kind
    this.#child = child
    this.port = port
  }

  static async start(kind: TargetKind): Promise<Target> {
    const python = kind === 'FastAPI'
    const child = python
      ? spawn(PYTHON, [EXAMPLE, '--port', '0'], { stdio: ['ignore', 'pipe', 'ignore'] })
      : spawn(process.execPath, [join(import.meta.dirname, 'target.mjs'), kind], {
          stdio: ['ignore', 'pipe', 'inherit'],
        })
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
    const [first] = (await once(lines, 'line')) as [string]
    const port = python ? Number(first.split(':').at(-1)) : (JSON.parse(first) as { port: number }).port
    const target = new Target(kind, child, port)
    if (python) target.#timer = setInterval(() => target.#note(residentBytes(child.pid as number), 0), 100)
    else {
      lines.on('line', (line) => {
        const { rss, delayMs } = JSON.parse(line) as { rss: number; delayMs: number }
        target.#note(rss, delayMs)
      })
    }
    await until(() => target.latestRss > 0, 'it is measured')
    return target
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Begins to measure anew; returns what it costs now. */
  reset(): number {
    this.peakRss = this.latestRss
    this.peakDelayMs = 0
    return this.latestRss
  }

  async end(): Promise<void> {
    clearInterval(this.#timer)
    if (!this.alive) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }

  #note(rss: number, delayMs: number): void {
    this.latestRss = rss
    this.peakRss = Math.max(this.peakRss, rss)
    this.peakDelayMs = Math.max(this.peakDelayMs, delayMs)
  }
}

function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES
  } catch {
    return 0
  }
}
