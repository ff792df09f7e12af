//! Product lines and the arithmetic of totals.

use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::refusal::fault;

/// Ten-thousandths: the precision of a quantity.
const QUANTITY_ONE: i128 = 10_000;
/// Hundredths of a percent in a whole.
const TAX_WHOLE: i128 = 10_000;

/// Checks one product line; answers it as the gateway echoes it, and its total.
pub(crate) fn line(raw: &Value) -> Result<(Value, i64), Value> {
    let empty = Map::new();
    let Some(object) = raw.as_object() else {
        return Err(json!([fault("invalid", "Expected an object.")]));
    };
    let mut fields = Fields::of(Some(object), &empty);
    let name = fields.required_text("name", 256);
    let price = fields.required_amount("price");
    let discount = fields.amount("discount").unwrap_or(0);
    let category = fields.strict_text("category", 256);
    let (quantity, shown_quantity) = fields.decimal("quantity", 4, 10_000);
    let (tax, shown_tax) = fields.decimal("tax_percent", 2, 0);
    let total_override = fields.amount("total_price_override");
    if tax > TAX_WHOLE {
        fields.fail(
            "tax_percent",
            "max_value",
            "Ensure this value is less than or equal to 100.",
        );
    }
    let net = i128::from(price) * quantity - i128::from(discount) * QUANTITY_ONE;
    if fields.is_clean() && net < 0 {
        let text = "Discount can't be larger than price * quantity!";
        return Err(json!({ "__all__": [fault("product_subtotal_negative", text)] }));
    }
    fields.finish()?;
    let total = total_override.unwrap_or_else(|| line_total(net, tax));
    let mut shown = json!({
        "name": name, "price": price, "category": category, "discount": discount,
        "quantity": shown_quantity, "tax_percent": shown_tax,
    });
    if let (Some(amount), Some(map)) = (total_override, shown.as_object_mut()) {
        map.insert("total_price_override".to_owned(), json!(amount));
    }
    Ok((shown, total))
}

/// Half up, to whole minor units, from a net in ten-thousandths.
fn line_total(net: i128, tax: i128) -> i64 {
    let scale = QUANTITY_ONE * TAX_WHOLE;
    let exact = net * (TAX_WHOLE + tax);
    i64::try_from((exact * 2 + scale).div_euclid(scale * 2)).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
mod tests {
    use super::*;

    fn total(raw: &Value) -> i64 {
        line(raw).unwrap().1
    }

    #[test]
    fn a_line_rounds_half_up_after_discount_and_tax() {
        assert_eq!(total(&json!({"name": "a", "price": 100})), 100);
        assert_eq!(
            total(&json!({"name": "a", "price": 33, "quantity": "1.5"})),
            50
        );
        assert_eq!(
            total(&json!({"name": "a", "price": 100, "discount": 10, "tax_percent": "6"})),
            95
        );
        assert_eq!(total(&json!({"name": "a", "price": 1, "quantity": 0.5})), 1);
        assert_eq!(
            total(&json!({"name": "a", "price": 100, "total_price_override": 7})),
            7
        );
    }

    #[test]
    fn a_discount_larger_than_the_line_is_refused_under_the_line() {
        let error = line(&json!({"name": "a", "price": 10, "discount": 11})).unwrap_err();
        assert_eq!(error["__all__"][0]["code"], "product_subtotal_negative");
    }

    #[test]
    fn numbers_are_echoed_with_fixed_decimals() {
        let shown = line(&json!({"name": "a", "price": 1, "quantity": 2, "tax_percent": 6.5}))
            .unwrap()
            .0;
        assert_eq!(shown["quantity"], "2.0000");
        assert_eq!(shown["tax_percent"], "6.50");
    }
}
