import { readFile } from 'node:fs/promises'

// Prints the versions of the packages and of Node.js and exits, if that is what the program is asked for.
export async function version(...packages) {
  if (process.argv[2] !== 'version') return
  const names = await Promise.all(packages.map(async name => {
    const file = new URL(`node_modules/${name}/package.json`, import.meta.url)
    return `${name} ${JSON.parse(await readFile(file)).version}`
  }))
  console.log(`${names.join(', ')}, Node.js ${process.versions.node}`)
  process.exit()
}
