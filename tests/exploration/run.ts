// Runs one exploration in a process of its own: millions of states leave nothing behind, and two run side by side.

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Report } from './search.ts'

export type NamedReport = Report & { readonly name: string }

const AT_ONCE = 2
const slots = new Set<Promise<unknown>>()

/** Explores a scenario, with another engine if there is one; no more than two at a time. */
export async function run(scenario: string, engine?: string): Promise<NamedReport> {
  while (slots.size >= AT_ONCE) await Promise.race(slots)
  const report = start(scenario, engine)
  const slot = report.catch(() => undefined).finally(() => slots.delete(slot))
  slots.add(slot)
  return report
}

async function start(scenario: string, engine: string | undefined): Promise<NamedReport> {
  const main = join(import.meta.dirname, 'main.ts')
  const options = ['--json', scenario, ...(engine === undefined ? [] : ['--engine', engine])]
  const child = spawn(process.execPath, ['--max-old-space-size=8192', main, ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.setEncoding('utf8')
  for await (const part of child.stdout) text += part
  if (text === '') throw new Error(`exploring ${scenario} ended without a report`)
  return JSON.parse(text) as NamedReport
}
