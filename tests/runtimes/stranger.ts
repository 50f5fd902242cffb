// A folder of a stranger's that has the package as it is packed, and the tools of this folder to load it with.

import { execFile, execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const root = join(import.meta.dirname, '../..')
const tools = join(import.meta.dirname, 'node_modules')

/** The path of a tool of `tests/runtimes/node_modules`, or `undefined`: then what is skipped is said. */
export function findTool(path: string, what: string): string | undefined {
  const file = join(tools, path)
  if (existsSync(file)) return file
  console.warn(`skipped: ${what} (npm ci --prefix tests/runtimes installs it)`)
  return undefined
}

export class Stranger {
  readonly folder = mkdtempSync(join(tmpdir(), 'guru-stranger-'))
  /** The file that was packed. */
  readonly tarball: string

  constructor() {
    this.write('package.json', '{ "name": "stranger", "private": true }')
    const pack = ['pack', root, '--json', '--ignore-scripts']
    const answer = execFileSync('npm', pack, { cwd: this.folder, encoding: 'utf8', stdio: 'pipe' })
    const [{ filename }] = JSON.parse(answer) as [{ filename: string }]
    this.tarball = filename
    const installed = this.path('node_modules/guru-comms')
    mkdirSync(installed, { recursive: true })
    execFileSync('tar', ['xzf', filename, '-C', installed, '--strip-components=1'], {
      cwd: this.folder,
    })
    for (const name of ['eventsource-parser', 'idb', 'structured-headers', 'undici', 'ws'])
      this.link(name, join(root, 'node_modules', name))
    if (existsSync(tools)) for (const name of packagesOf(tools)) this.link(name, join(tools, name))
  }

  path(file: string): string {
    return join(this.folder, file)
  }

  write(file: string, text: string): string {
    mkdirSync(dirname(this.path(file)), { recursive: true })
    writeFileSync(this.path(file), text)
    return this.path(file)
  }

  /** The files of a folder whose name ends so: path within it and text. */
  filesOf(folder: string, end: string): [string, string][] {
    const names = readdirSync(this.path(folder), { recursive: true, encoding: 'utf8' })
    return names.flatMap((name) =>
      name.endsWith(end)
        ? [[name, readFileSync(this.path(join(folder, name)), 'utf8')] as [string, string]]
        : [],
    )
  }

  link(name: string, target: string): void {
    const place = this.path(`node_modules/${name}`)
    mkdirSync(dirname(place), { recursive: true })
    if (!existsSync(place)) symlinkSync(target, place, 'dir')
  }

  /** Runs a program in the folder. Resolves to what it said on stdout; rejects with all that it said. */
  async run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
    const options = { cwd: this.folder, maxBuffer: 1 << 26, env: { ...process.env, ...env } }
    const running = promisify(execFile)(program, args, options)
    running.child.stdin?.end()
    return running.then(
      ({ stdout }) => stdout,
      ({ message, stdout, stderr }) => Promise.reject(new Error(`${message}\n${stdout}\n${stderr}`)),
    )
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 })
  }
}

function packagesOf(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    if (name.startsWith('.')) return []
    return name.startsWith('@') ? readdirSync(join(folder, name)).map((one) => `${name}/${one}`) : [name]
  })
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
