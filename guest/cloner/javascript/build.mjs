// Makes a component of a program: node build.mjs PROGRAM WIT COMPONENT
import { writeFile } from 'node:fs/promises';
import { componentize } from '@bytecodealliance/componentize-js';

const [sourcePath, witPath, output] = process.argv.slice(2);
const { component } = await componentize({
  sourcePath,
  witPath,
  worldName: 'cloner',
  // The program needs no HTTP. With it, the component would import wasi:http.
  disableFeatures: ['http', 'fetch-event'],
});
await writeFile(output, component);
