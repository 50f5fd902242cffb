// One attack on one server: who was served meanwhile, and what it cost.

import { once } from 'node:events'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Attack, Scale } from './attacks.ts'
import type { Served } from './bystander.ts'
import type { Target } from './Target.ts'

export interface Report extends Served {
  readonly target: string
  readonly attack: string
  readonly alive: boolean
  /** Bytes of resident memory above what the server had before. */
  readonly grownBytes: number
  readonly delayMs: number
  /** Attackers that the server closed by itself. */
  readonly closed: number
  readonly attackers: number
}

export async function attack(target: Target, { name, run }: Attack, scale: Scale): Promise<Report> {
  const bystander = new Worker(join(import.meta.dirname, 'bystanderThread.ts'), {
    workerData: { kind: target.kind, port: target.port },
  })
  await once(bystander, 'message')
  const told = once(bystander, 'message') as Promise<[Served]>
  const idle = target.reset()
  const end = performance.now() + scale.ms
  const over = () => performance.now() >= end
  const wires = await run(target, scale, over)
  while (!over() && target.alive) await new Promise((resolve) => setTimeout(resolve, 10))
  bystander.postMessage('over')
  const [served] = await told
  const closed = wires.filter(({ gone }) => gone).length
  for (const wire of wires) wire.end()
  return {
    ...served,
    target: target.kind,
    attack: name,
    alive: target.alive,
    grownBytes: target.peakRss - idle,
    delayMs: target.peakDelayMs,
    closed,
    attackers: wires.length,
  }
}

/** The value that all but a share of the values do not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
