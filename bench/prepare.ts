// What must stand before anything can be measured: the built package, and the rivals in bench/node_modules.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const bench = fileURLToPath(new URL('.', import.meta.url))
const root = fileURLToPath(new URL('..', import.meta.url))

function npm(args: string[], cwd: string): void {
  // The npm that runs us, if one does: its name on the path may be another one.
  const cli = process.env.npm_execpath
  const [command, given] = cli ? [process.execPath, [cli, ...args]] : ['npm', args]
  const { status } = spawnSync(command, given, { cwd, stdio: 'inherit' })
  if (status !== 0) throw new Error(`npm ${args.join(' ')} failed in ${cwd}`)
}

export function prepare({ build }: { build: boolean }): void {
  if (!existsSync(`${bench}node_modules`)) npm(['ci'], bench)
  if (build) npm(['run', 'build'], root)
}
