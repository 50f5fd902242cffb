// dist/cjs: the same library for whoever cannot load ES modules, Jest above all. Node itself never loads it
// (`module-sync` stands first in package.json), so in Node there is one copy whether by `import` or `require()`.

import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { rolldown } from 'rolldown'

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')
const target = join(dist, 'cjs')
rmSync(target, { recursive: true, force: true })

type Conditions = Readonly<Record<string, unknown>>
interface Manifest {
  readonly exports: Readonly<Record<string, Readonly<Record<string, Conditions>> | string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly imports: Readonly<Record<string, Conditions>>
}
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest

/** The same file of this build. */
const inCommonJs = (file: unknown) =>
  String(file)
    .replace('./dist/', './dist/cjs/')
    .replace(/\.d\.ts$/, '.d.cts')
    .replace(/\.js$/, '.cjs')
/** Files by condition, without those of the sources and of this build. */
const filesOf = (conditions: Conditions) =>
  Object.entries(conditions).filter(([name, file]) => name !== 'require' && typeof file === 'string')
const mirrored = (conditions: Conditions) =>
  Object.fromEntries(filesOf(conditions).map(([name, file]) => [name, inCommonJs(file)]))

function mustBe(place: string, found: unknown, expected: object): void {
  if (JSON.stringify(found) === JSON.stringify(expected)) return
  throw new Error(
    `package.json: ${place} has to be ${JSON.stringify(expected)}, not ${JSON.stringify(found)}`,
  )
}
for (const [name, entry] of Object.entries(manifest.exports)) {
  if (typeof entry === 'string') continue
  // For Node first, then for who has CommonJS only, then for all others.
  const esm = entry.default as Conditions
  mustBe(`exports["${name}"]`, entry, { 'module-sync': esm, require: mirrored(esm), default: esm })
}
for (const [name, conditions] of Object.entries(manifest.imports))
  mustBe(`imports["${name}"].require`, conditions.require, mirrored(conditions))

// Declarations first. A name in quotes (`as 'module.exports'`) is for Node, which reads no declarations, and older TypeScripts
// stumble over it.
for (const file of globSync('**/*.d.ts', { cwd: dist, exclude: ['cjs/**', '**/*.test.d.ts'] })) {
  const whole = readFileSync(join(dist, file), 'utf8')
  const declared = whole.replace(/^export \{ \w+ as 'module\.exports' \};\n/m, '')
  if (declared !== whole) writeFileSync(join(dist, file), declared)
  const text = declared.replace(/\n\/\/# sourceMappingURL=.*/, '')
  mkdirSync(dirname(join(target, file)), { recursive: true })
  const name = file.replace(/\.ts$/, '.cts')
  // The oldest way of resolving modules knows no `#`: declarations of all that it may stand for are the same.
  const chosenHere = (alias: string) => {
    const path = relative(dirname(file), String(manifest.imports[alias]?.default).replace('./dist/', ''))
    return `'${path.startsWith('.') ? path : `./${path}`}'`.replace(/\.js'$/, ".cjs'")
  }
  const resolved = text
    .replace(/(from |import\()'(\.[^']*)\.ts'/g, "$1'$2.cjs'")
    .replace(/(?<=from |import\()'(#[^']+)'/g, (_, alias: string) => chosenHere(alias))
  writeFileSync(join(target, name), resolved)
}

/** Only ES modules themselves, so they have to be within. */
const BUNDLED = ['eventsource-parser']
const external = Object.keys(manifest.dependencies).filter((name) => !BUNDLED.includes(name))

const entries = Object.values(manifest.exports).flatMap((entry) =>
  typeof entry === 'string' ? [] : [String(entry.default?.default)],
)
/** What is chosen by conditions stands alone here, too. */
const chosen = Object.values(manifest.imports).flatMap((conditions) =>
  filesOf(conditions).map(([, file]) => String(file)),
)
const nameOf = (file: string) => file.replace('./dist/', '').replace(/\.js$/, '')
const input = Object.fromEntries(
  [...new Set([...entries, ...chosen])].map((file) => [nameOf(file), join(root, file)]),
)

const bundle = await rolldown({
  input,
  platform: 'node',
  external: [/^node:/, /^#/, ...external.map((name) => new RegExp(`^${name}(/|$)`))],
  resolve: { conditionNames: ['import', 'default'] },
})
const { output } = await bundle.write({
  dir: target,
  format: 'cjs',
  exports: 'named',
  entryFileNames: '[name].cjs',
  chunkFileNames: 'parts/[name].cjs',
})
await bundle.close()

for (const part of output) {
  if (part.type === 'chunk' && part.exports.includes('module.exports')) giveClass(part.name)
}

/** `require('guru-comms/Endpoint')` is the class, which carries what the module exports. */
function giveClass(name: string): void {
  const file = join(target, `${name}.cjs`)
  const code = readFileSync(file, 'utf8')
  writeFileSync(file, `${code}\nmodule.exports = exports['module.exports']\n`)

  // The same for types: `export =` a class, and what the module declares in a namespace of its name.
  const types = join(target, `${name}.d.cts`)
  const declared = readFileSync(types, 'utf8')
  // Aliases cannot name what was exported as a type alone; there is nothing but types here.
  writeFileSync(join(target, `${name}.module.d.cts`), declared.replace(/^export type \{/gm, 'export {'))
  const names = [
    ...[...declared.matchAll(/^export (?:declare )?(?:interface|const|type) (\w+)/gm)].map(([, one]) => one),
    ...[...declared.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, list]) =>
      (list ?? '').split(',').flatMap((one) => one.trim().split(' ').at(-1) || []),
    ),
  ]
  const [, parameters = ''] = declared.match(new RegExp(`^export declare class ${name}(<.*?>) `, 'm')) ?? []
  const own = parameters.replaceAll('MessageTypes', 'all.MessageTypes')
  const given = [...parameters.matchAll(/[<,] ?(\w+) extends/g)].map(([, one]) => one).join(', ')
  writeFileSync(
    types,
    `import * as all from './${name}.module.cjs'
declare class ${name}${own} extends all.${name}${given && `<${given}>`} {}
declare namespace ${name} {
${names.map((one) => `  export import ${one} = all.${one}\n`).join('')}  export { ${name} }
}
export = ${name}
`,
  )
}
