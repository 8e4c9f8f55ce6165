//! Writes the generated code into the project: `cargo run -p nodeward-codegen`.

use std::path::Path;

fn main() -> Result<(), nodeward_codegen::CodegenError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for file in nodeward_codegen::generate(&root)? {
        std::fs::write(root.join(&file.path), &file.bytes)?;
    }
    Ok(())
}
