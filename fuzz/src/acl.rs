//! The target `acl`: any bytes as an access control list.
//!
//! The permissions of the owning group are those that an independent reading of the list gives, and never more.

#[path = "../../engine/src/platform/linux/acl.rs"]
#[allow(dead_code, unused_imports, reason = "its unit tests, which run there")]
mod engine;

/// `ACL_GROUP_OBJ` and `ACL_MASK` (include/uapi/linux/posix_acl.h).
const GROUP_OBJ: u32 = 0x04;
const MASK: u32 = 0x10;

/// Runs the target.
pub fn run(data: &[u8]) {
    // Most random bytes are no list, so they are also taken as the entries of one.
    let list = [&2_u32.to_le_bytes(), data].concat();
    for list in [data, &list] {
        let found = engine::owning_groups_permissions(list);
        assert_eq!(found, expected(list), "{list:?}");
        assert_eq!(found & !0o070, 0, "other bits than the group's: {list:?}");
    }
}

/// Returns the group's bits of a mode, read entry by entry as `posix_acl_from_xattr` does.
fn expected(list: &[u8]) -> u32 {
    let word = |at: usize| u32::from_le_bytes(list[at..at + 4].try_into().unwrap());
    if list.len() < 4 || word(0) != 2 {
        return 0;
    }
    let (mut group, mut mask) = (None, None);
    let mut at = 4;
    while at + 8 <= list.len() {
        let (tag, permissions) = (word(at) & 0xffff, word(at) >> 16);
        match tag {
            GROUP_OBJ => _ = group.get_or_insert(permissions),
            MASK => _ = mask.get_or_insert(permissions),
            _ => {}
        }
        at += 8;
    }
    match (group, mask) {
        (Some(group), Some(mask)) => (group & mask & 7) * 8,
        (Some(group), None) => (group & 7) * 8,
        (None, _) => 0,
    }
}
