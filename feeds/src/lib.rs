//! What vendors publish, and what scanners say: bytes into advisories, images and lists of
//! findings. Pure parsers, one per format; whatever comes in is taken for hostile: sizes,
//! depths and counts are limited, and an error names the file, the line or record, and the
//! reason. Files, folders and transport are others'.

pub mod acceptance;
pub mod announced;
pub mod archive;
pub mod bulletin;
pub mod causes;
pub mod content;
pub mod debian;
pub mod held;
pub mod image_document;
pub mod image_list;
pub mod image_note;
pub mod instant;
pub mod intake;
pub mod offered;
pub mod openvex;
pub mod osv;
pub mod oval;
mod purl;
pub mod scan;
pub mod security_patch;
pub mod starter;
pub mod stored;
pub mod unread;
pub mod vulnerability_api;
